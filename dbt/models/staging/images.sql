-- The columns beyond the named ones depend on what the files hold.
select * from {{ source('lake', 'images') }}
