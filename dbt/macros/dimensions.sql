{#
What tells apart the images of one position: the acquisitions and times that a series is made of,
any of which may make groups of its own ...
#}
{% macro group_attributes() -%}
{{ return([
    'AcquisitionNumber', 'TemporalPositionIdentifier', 'NominalPercentageOfCardiacPhase',
    'TriggerTime', 'FrameReferenceTime', 'EchoTime', 'DiffusionBValue', 'StackID',
    'InversionTime', 'FlipAngle', 'KVP', 'ConvolutionKernel', 'ContrastBolusAgent',
    'AcquisitionDate', 'EchoNumbers', 'DiffusionGradientOrientation',
]) }}
{%- endmacro %}

{# ... and beside them what differs from image to image. #}
{% macro dimension_attributes() -%}
{{ return(group_attributes() + [
    'AcquisitionTime', 'ImageType', 'dimension_indices', 'ReferencedSegmentNumber',
]) }}
{%- endmacro %}
