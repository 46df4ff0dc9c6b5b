-- Take from a connection all files but those of its databases and its lake, and the right to change
-- that: whatever a view of a received database asks for, it gets no file and writes none.
set allowed_directories = ['{lake}'];

set enable_external_access = false;

set lock_configuration = true;
