-- Take from a connection all files but those of its databases and its lake, and the right to change
-- that: whatever a view of a received database asks for, it gets no file and writes none. A glob is
-- compared as it is written, its escapes too, before its files are.
set allowed_directories = ['{lake}', '{lake_glob}'];

set enable_external_access = false;

set lock_configuration = true;
