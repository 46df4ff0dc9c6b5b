-- A data test, as dbt asks it: how many rows fail, and whether those are too many.
select
    {fail_calc} as failures,
    {fail_calc} {warn_if} as should_warn,
    {fail_calc} {error_if} as should_error
from (
{sql}
{limit}
) as dbt_internal_test
