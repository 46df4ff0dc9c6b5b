select * from {{ ref('int_iod_requirements') }}
where iod in (select series_iods.iod from {{ ref('int_series_iods') }} as series_iods)
