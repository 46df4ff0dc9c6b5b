-- What is news of a finding: that it is there, worse than before, or accepted no more.
create or replace macro main.is_worse(severity, before) as
position(severity in 'EWI') < position(before in 'EWI');

create or replace macro main.is_news(change, before, after) as
change in ('new', 'unwaived') or (change = 'severity' and main.is_worse(after, before));
