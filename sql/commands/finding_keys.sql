-- What tells one finding from another, in this generation and the next.
select
    source,
    rule,
    subject
from findings
