# dicomhouse as a user who is not root: a published file is readable only (0400), and for root that
# would mean nothing. Build: docker build --tag dicomhouse .
FROM python:3.12-slim-bookworm AS build

WORKDIR /build
COPY requirements/runtime.txt requirements/build.txt requirements/
RUN python -m venv /opt/dicomhouse \
    && /opt/dicomhouse/bin/pip install --no-cache-dir --require-hashes --no-deps \
        --requirement requirements/runtime.txt --requirement requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY flows flows
COPY sql sql
COPY dbt dbt
RUN /opt/dicomhouse/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/dicomhouse/bin/python -m compileall -q /opt/dicomhouse/lib

FROM python:3.12-slim-bookworm

RUN useradd --uid 10001 --create-home --home-dir /var/lib/dicomhouse dicomhouse \
    && install --directory --owner dicomhouse --mode 0700 /warehouse
COPY --from=build /opt/dicomhouse /opt/dicomhouse
ENV PATH=/opt/dicomhouse/bin:$PATH \
    DICOMHOUSE_WAREHOUSE=/warehouse/main \
    PREFECT_HOME=/var/lib/dicomhouse/.prefect \
    PYTHONSAFEPATH=1
USER 10001
WORKDIR /var/lib/dicomhouse
VOLUME ["/warehouse", "/var/lib/dicomhouse"]
ENTRYPOINT ["dicomhouse"]
CMD ["--help"]
