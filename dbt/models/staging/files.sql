select
    source,
    path,
    folder,
    patient_folder,
    image_name,
    size_bytes,
    modified_at,
    file_id,
    status,
    reason,
    SOPInstanceUID,
    TransferSyntaxUID,
    run_id
from {{ source('lake', 'files') }}
