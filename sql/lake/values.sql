-- What values of a representation are, where their texts are compared: numbers written as text or
-- kept as floats; dates, times, or both in one.
create or replace macro main.is_number(vr) as vr in ('DS', 'IS', 'FL', 'FD');

create or replace macro main.is_moment(vr) as vr in ('DA', 'TM', 'DT');
