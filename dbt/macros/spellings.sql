{# A text in capital letters; one beyond ASCII also without accents, and as German, Danish and
   Norwegian are written without their letters. #}
{% macro spellings(text) -%}
{%- set capitals = "nfc_normalize(upper(" ~ text ~ "))" -%}
{%- set plain = {"Ø": "O", "Ł": "L", "Đ": "D", "ı": "I", "Æ": "AE", "ẞ": "SS", "ß": "SS"} -%}
{%- set long = {"Ä": "AE", "Ö": "OE", "Ü": "UE", "Ø": "OE", "Å": "AA"} -%}
case
    when strlen({{ text }}) = length({{ text }}) then [upper({{ text }})]
    else
        [
            {{ capitals }},
            strip_accents({{ replaced(capitals, plain) }}),
            strip_accents({{ replaced(replaced(capitals, long), plain) }})
        ]
end
{%- endmacro %}

{% macro replaced(text, letters) -%}
{%- set replacing = namespace(text=text) -%}
{%- for letter, others in letters.items() -%}
{%- set replacing.text = "replace(" ~ replacing.text ~ ", '" ~ letter ~ "', '" ~ others ~ "')" -%}
{%- endfor -%}
{{ replacing.text }}
{%- endmacro %}
