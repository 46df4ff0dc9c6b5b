{# A text in capital letters; one beyond ASCII also without accents, and as German, Danish and
   Norwegian are written without their letters. #}
{% macro spellings(text) -%}
{%- set capitals = "nfc_normalize(upper(" ~ text ~ "))" -%}
{%- set long = {"Ä": "AE", "Ö": "OE", "Ü": "UE", "Ø": "OE", "Å": "AA"} -%}
case
    when strlen({{ text }}) = length({{ text }}) then [upper({{ text }})]
    else [{{ capitals }}, {{ unaccented(capitals) }}, {{ unaccented(replaced(capitals, long)) }}]
end
{%- endmacro %}

{% macro unaccented(capitals) -%}
strip_accents(
    {{ replaced("translate(" ~ capitals ~ ", 'ØŁĐ', 'OLD')", {"Æ": "AE", "ẞ": "SS"}) }}
)
{%- endmacro %}

{% macro replaced(text, letters) -%}
{%- set replacing = namespace(text=text) -%}
{%- for letter, others in letters.items() -%}
{%- set replacing.text = "replace(" ~ replacing.text ~ ", '" ~ letter ~ "', '" ~ others ~ "')" -%}
{%- endfor -%}
{{ replacing.text }}
{%- endmacro %}
