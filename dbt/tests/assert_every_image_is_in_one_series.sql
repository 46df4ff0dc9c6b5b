select images.file_id
from {{ ref('images') }} as images
left join {{ ref('series') }} as series
    on images.source = series.source and images.series_key = series.series_key
group by images.file_id
having count(series.series_key) <> 1
