"""A database with everything in it that a role without rights can make."""

from __future__ import annotations

EVERYTHING = """
create type mood as enum ('sad', 'ok', 'übermütig');
create type pair as (a int, b text);
create type span as range (subtype = float8);
create domain email as text check (value ~ '@');
create domain maybe as int;
create table entries (id bigint generated always as identity primary key, text text not null,
  length int generated always as (length(text)) stored, moment timestamptz default now());
insert into entries (text) select 'entry ' || n from generate_series(1, 3000) n;

create table kinds (
  id serial primary key, c_bool bool, c_int2 int2, c_int4 int4, c_int8 int8, c_numeric numeric, c_numeric_p numeric(12, 3),
  c_real real, c_double float8, c_money money, c_text text, c_varchar varchar(30), c_char char(5), c_qchar "char",
  c_name name, c_bytea bytea, c_date date, c_time time, c_timetz timetz, c_timestamp timestamp, c_timestamptz timestamptz,
  c_interval interval, c_uuid uuid, c_json json, c_jsonb jsonb, c_inet inet, c_cidr cidr, c_macaddr macaddr,
  c_macaddr8 macaddr8, c_point point, c_line line, c_lseg lseg, c_box box, c_path path, c_polygon polygon,
  c_circle circle, c_bit bit(4), c_varbit varbit, c_tsvector tsvector, c_tsquery tsquery, c_range int4range,
  c_multi nummultirange, c_span span, c_oid oid, c_class regclass, c_type regtype, c_lsn pg_lsn, c_path_json jsonpath,
  c_snapshot pg_snapshot, c_mood mood, c_moods mood[], c_pair pair, c_pairs pair[], c_email email, c_maybe maybe,
  c_ints int[], c_texts text[][], c_json_list json[]);
insert into kinds values
 (1, true, -32768, 2147483647, -9223372036854775808, 'NaN', 1.500, 'NaN', '-0', '12.34', E'a\\tb\\nc\\\\d"e''f — 🙂', 'ä', 'x',
  'q', 'n', '\\x00ff10', 'infinity', '23:59:59.999999', '12:00+05:30', '-infinity', '2024-02-29 23:59:59.999999+14',
  '1 year -2 months 3 days 04:05:06.789', '6f1c2f0e-5c8e-4d2b-9a43-0f6f7b8c9d0e', '{"b": 1,  "a": [1.0, null]}',
  '{"b": 1, "a": [1.0, null]}', '::1/64', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', '(1.1,-2)',
  '{1,2,3}', '[(0,0),(1,1)]', '(1,1),(0,0)', '[(0,0),(1,1)]', '((0,0),(1,1),(2,0))', '<(0,0),0.1>', '1010', '101',
  'a:1 fat:2A', 'fat & !rat', '[1,5)', '{[1.5,2),(3,)}', '[0.1,0.2)', 4294967295, 'entries', 'mood', '16/B374D848',
  '$.a[*] ? (@ > 1)', '10:20:10,14,15', 'übermütig', '{ok,NULL,sad}', '(1,"x,y")', '{"(1,a)","(2,)"}', 'a@b', 7,
  '{1,NULL,3}', '{{a,b},{c,NULL}}', array['{"a":1}'::json]),
 (2, false, 0, 0, 0, '1e-300', 0, '3.4028235e38', 0.1, '-0.01', '', '', '', '', '', '', '0044-03-15 BC', '00:00', '00:00Z',
  'infinity', '-infinity', '00:00:00.000001', null, 'null', 'null', '10.0.0.1', '::/0', null, null, null, null, null, null,
  null, null, null, null, '', '', '', 'empty', '{}', 'empty', 0, null, null, '0/0', null, null, null, '{}', null, '{}',
  null, null, '{}', '{}', '{}');
insert into kinds (id) values (3);
create table documents (id int primary key, body xml);
create table "Großer ""Name"", mit; allem" ("Spalte Nr. 1" int, "one" text, "ключ" text primary key, "select" int);
insert into "Großer ""Name"", mit; allem" values (1, 'one', 'ж', 2), (null, null, '鍵', null);
create schema "Übung";
create table "Übung"."Tabelle" (id int primary key, parent int references "Übung"."Tabelle" (id) deferrable);
insert into "Übung"."Tabelle" values (1, 2), (2, 1);
create table nothing_in_it (id int);
create table no_columns ();
insert into no_columns default values;
insert into no_columns default values;
create table lost_a_column (a int, b text, c text);
insert into lost_a_column values (1, 'b', 'c');
alter table lost_a_column drop column b;
create unlogged table fleeting (id int, text text);
insert into fleeting values (1, 'still here');

create table measured (at date not null, value float8) partition by range (at);
create table measured_2024 partition of measured for values from ('2024-01-01') to ('2025-01-01');
create table measured_2025 partition of measured for values from ('2025-01-01') to ('2026-01-01') partition by list (value);
create table measured_2025_rest partition of measured_2025 default;
create index on measured (at);
insert into measured select date '2024-01-01' + n, n / 3.0 from generate_series(0, 700) n;
create table parent (id int);
create table child (more text) inherits (parent);
insert into parent values (1);
insert into child values (2, 'x');

create sequence backwards increment -3 minvalue -1000 maxvalue -1 start -10;
create sequence untouched start 42;
select nextval('backwards'), nextval('backwards');
create function touch() returns trigger language plpgsql as $$ begin new.moment := clock_timestamp(); return new; end $$;
create trigger touched before update on entries for each row execute function touch();
create function twice(n int) returns int language sql immutable as 'select n * 2';
create index odd_entries on entries (twice(id::int)) where id % 2 = 1;
create index words on entries using gin (to_tsvector('simple', text));
alter table "Übung"."Tabelle" add constraint later check (id > 0) not valid;
alter table entries enable row level security;
create policy everybody on entries for select using (true);
create view long_entries as select * from entries where length > 10;
create materialized view per_day as select at, count(*) from measured group by at;
create materialized view not_filled as select 1 as one with no data;
create rule quiet as on delete to nothing_in_it do instead nothing;
create statistics related (dependencies) on text, length from entries;
comment on table entries is 'what people wrote; with a "quote"';
comment on column entries.text is E'two\\nlines';
create aggregate longest (text) (sfunc = textcat, stype = text, initcond = '');
create collation german (provider = libc, locale = 'C');
create table sorted (word text collate german primary key);
insert into sorted values ('b'), ('a');
select lo_from_bytea(0, 'small'), lo_from_bytea(0, ''), lo_from_bytea(0, decode(repeat('ab', 17000000), 'hex'));
"""

XML = """insert into documents values (1, '<a b="1"><!-- c --> text </a>')"""
VIRTUAL = "create table computed (a int, b int generated always as (a + 1) virtual); insert into computed values (1)"
