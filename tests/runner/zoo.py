"""Values at the edges of every type that PostgreSQL comes with, and of what users build from them."""

from __future__ import annotations

from dataclasses import dataclass

# By pg_type.typname, as SQL expressions. A type that a newer server brings must be added, or the test fails.
BUILT_IN: dict[str, tuple[str, ...]] = {
    "bool": ("'true'", "'false'"),
    "bytea": (r"'\x'", r"'\x00'", r"'\x00ff00deadbeef'", "convert_to(repeat('é', 5000), 'UTF8')"),
    "char": ("'a'", "''", '(-1)::"char"', '(-128)::"char"'),
    "name": ("'x'", "''", "repeat('n', 63)", "'naïve ☃'"),
    "int2": ("-32768", "32767", "0"),
    "int4": ("-2147483648", "2147483647", "0"),
    "int8": ("'-9223372036854775808'", "'9223372036854775807'", "0"),
    "int2vector": ("'1 -2 3'", "''"),
    "oidvector": ("'1 4294967295'", "''"),
    "regproc": ("'now'", "'-'", "'4000000000'"),
    "regprocedure": ("'now()'", "'-'"),
    "regoper": ("'|/'", "'0'"),
    "regoperator": ("'+(integer,integer)'", "'0'"),
    "regclass": ("'pg_class'", "'information_schema.tables'", "'-'"),
    "regtype": ("'timestamp with time zone'", "'integer[]'"),
    "regrole": ("current_user::regrole", "'-'"),
    "regnamespace": ("'pg_catalog'", "'-'"),
    "regconfig": ("'english'",),
    "regdictionary": ("'simple'",),
    "regcollation": ("'\"C\"'",),
    "regdatabase": ("'postgres'",),
    "text": (
        "''", "'  blanks  '", "e'\\t\\n\\r\\\\N\\x01\\x7f'", "'☃ é 𝄞'", "'NULL'", "repeat('long ', 50000)",
    ),
    "varchar": ("''", "' b '", "'naïve'"),
    "bpchar": ("'ab   '", "''", "'  x '"),
    "oid": ("0", "'4294967295'"),
    "tid": ("'(0,0)'", "'(4294967295,65535)'"),
    "xid": ("'0'", "'4294967295'"),
    "cid": ("'0'", "'4294967295'"),
    "xid8": ("'0'", "'18446744073709551615'"),
    "json": ("""'{"b":  1.0, "a": [null , 1e2], "b": 2}'""", "' null '", "'\"\\u0000\\ud83d\"'"),
    "jsonb": (
        """'{"b": 1.0, "a": [null, 1e2, 0.10], "": {}}'""", "'null'", "'1e-100'", "'\"\\u00e9\"'",
        "('[' || repeat('1.50,', 9999) || '-0]')::jsonb",
    ),
    "jsonpath": ("'$.a[*] ? (@.b > 1.50).c'", "'strict $'"),
    "xml": ("'<a b=\"1\">x &amp; <!-- y --></a>'", "'two <b/> roots <c/>'", "'<?xml version=\"1.0\"?><r/>'"),
    "money": ("'92233720368547758.07'", "'-92233720368547758.08'", "'0'"),
    "numeric": (
        "'NaN'", "'Infinity'", "'-Infinity'", "'0'", "'-0.00'", "'1.10'", "'1.1000'", "'1e131071'",
        "'1e-16383'", "(repeat('9', 131072) || '.' || repeat('9', 16383))::numeric",
    ),
    "float4": (
        "'0'", "'-0'", "'NaN'", "'Infinity'", "'-Infinity'", "'1e-45'", "'1.1754944e-38'",
        "'3.4028235e38'", "'0.1'",
    ),
    "float8": (
        "'0'", "'-0'", "'NaN'", "'Infinity'", "'-Infinity'", "'5e-324'", "'2.2250738585072014e-308'",
        "'1.7976931348623157e308'", "'0.1'",
    ),
    "date": ("'infinity'", "'-infinity'", "'4714-11-24 BC'", "'5874897-12-31'", "'0001-12-31 BC'"),
    "timestamp": (
        "'infinity'", "'-infinity'", "'4714-11-24 00:00 BC'", "'294276-12-31 23:59:59.999999'",
        "'2000-01-01 00:00:00.000001'",
    ),
    "timestamptz": (
        "'infinity'", "'-infinity'", "'4714-11-24 00:00+00 BC'", "'294276-12-31 23:59:59.999999+00'",
        "'2000-01-01 00:00:00.000001+05:30'",
    ),
    "time": ("'00:00'", "'24:00:00'", "'23:59:59.999999'"),
    "timetz": ("'24:00:00-15:59:59'", "'00:00+15:59:59'", "'12:00:00.000001+05:30'"),
    "interval": (
        "'0'", "'1 year -2 mons 3 days -04:05:06.789001'", "'178000000 years 2147483647 days'",
        "'-178000000 years'", "'1 mon'", "'30 days'", "'720:00:00'", "'-1 microsecond'",
    ),
    "bit": ("b''", "b'10'", "b'000000001'"),
    "varbit": ("b''", "b'10101'", "repeat('10', 500)::varbit"),
    "point": ("'(1.5,-0)'", "'(NaN,Infinity)'"),
    "line": ("'{1,-1,0.1}'",),
    "lseg": ("'[(0,0),(1e-300,1)]'",),
    "box": ("'(1,1),(-0,0)'",),
    "path": ("'[(0,0),(1,1)]'", "'((0,0),(1,1))'"),
    "polygon": ("'((0,0),(1,1),(1,0.1))'",),
    "circle": ("'<(1,2),0>'", "'<(1,2),Infinity>'"),
    "inet": ("'10.0.0.1/8'", "'10.0.0.1'", "'::1/64'", "'::ffff:1.2.3.4'"),
    "cidr": ("'10.0.0.0/8'", "'0.0.0.0/0'", "'2001:db8::/32'", "'10.0.0.1/32'"),
    "macaddr": ("'08:00:2b:01:02:03'", "'ff:ff:ff:ff:ff:ff'"),
    "macaddr8": ("'08:00:2b:01:02:03:04:05'",),
    "uuid": ("'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"),
    "refcursor": ("'a cursor'", "''"),
    "tsvector": ("'a:1A,3 fat:2B cat'", "''", "to_tsvector('english', 'The fat cats')"),
    "tsquery": ("'a & !b:AB <-> c:*'", "''"),
    "txid_snapshot": ("'10:20:10,14,15'",),
    "pg_snapshot": ("'10:20:10,14,15'", "'1:1:'"),
    "pg_lsn": ("'0/0'", "'FFFFFFFF/FFFFFFFF'"),
    "aclitem": ("(acldefault('r', 10))[1]",),
    "int4range": ("'empty'", "'(,)'", "'[1,5)'", "'[,5)'"),
    "int8range": ("'empty'", "'(,)'", "'[-9223372036854775808,5)'"),
    "numrange": ("'empty'", "'[1.10,1.100]'", "'(,NaN]'", "'[-Infinity,Infinity)'"),
    "daterange": ("'empty'", "'[-infinity,infinity]'", "'[2020-01-01,)'"),
    "tsrange": ("'empty'", "'(-infinity,infinity]'", "'(,2020-01-01 00:00:00.000001)'"),
    "tstzrange": ("'empty'", "'(-infinity,infinity]'", "'[2020-01-01 00:00+00,)'"),
    "int4multirange": ("'{}'", "'{(,1),[3,)}'"),
    "int8multirange": ("'{}'", "'{[1,2),[4,5)}'"),
    "nummultirange": ("'{}'", "'{[1.10,2.0],[3,NaN]}'"),
    "datemultirange": ("'{}'", "'{[-infinity,2020-01-01)}'"),
    "tsmultirange": ("'{}'", "'{(,2020-01-01)}'"),
    "tstzmultirange": ("'{}'", "'{(,2020-01-01 00:00+00)}'"),
}  # fmt: skip

# They mean something in one catalog only, or cannot be received in binary, so raw keeps their text.
AS_TEXT = {name for name in BUILT_IN if name.startswith("reg")} | {"aclitem", "tsquery", "int2vector", "oidvector"}

# PostgreSQL takes a value of these from nobody; only its own catalogs hold some.
UNWRITABLE = {
    "gtsvector", "pg_node_tree", "pg_ndistinct", "pg_dependencies", "pg_mcv_list",
    "pg_brin_bloom_summary", "pg_brin_minmax_multi_summary",
}  # fmt: skip

SETUP = """
create type mood as enum ('sad', 'it''s "50%"', 'ünder, {over}');
create domain score as numeric(4, 2) check (value >= 0);
create domain best_score as score check (value > 1);
create domain numbers as integer[];
create domain moods as mood[];
create domain feeling as mood;
create type place as (x double precision, label text, "When" timestamptz, feel mood);
create type trip as (start place, stops place[], rating score);
create domain checked_place as place;
create type float_range as range (subtype = double precision, multirange_type_name = float_ranges);
"""


@dataclass(frozen=True)
class Kind:
    """A type as a column declares it, the type raw gives it, and values as SQL expressions."""

    declared: str
    raw: str
    values: tuple[str, ...]
    extension: str | None = None


_MOOD = "'it''s \"50%\"'"
MADE = (
    Kind("mood", "text", ("'sad'", _MOOD, "'ünder, {over}'")),
    Kind("mood[]", "text[]", ("array['sad', null, 'ünder, {over}']::mood[]", "'{}'", "'[0:0]={sad}'")),
    Kind("score", "numeric(4,2)", ("1.5", "0", "'NaN'")),
    Kind("score[]", "numeric(4,2)[]", ("'{1.25,null}'", "'[3:3][0:1]={{1,2}}'")),
    Kind("best_score", "numeric(4,2)", ("1.50",)),
    Kind("numbers", "integer[]", ("'{1,null}'", "'[0:1][1:2]={{1,2},{3,4}}'")),
    # An array of arrays is what PostgreSQL itself does not have without the domain.
    Kind("numbers[]", "text[]", ("array['{1,null}'::numbers, null, '{}'::numbers]",)),
    Kind("moods", "text[]", ("'{sad,null}'", "'{}'")),
    Kind("feeling", "text", (_MOOD,)),
    Kind("feeling[]", "text[]", ("'{sad,null}'",)),
    Kind("place", "text", ("row(-0.0, 'a \"b\", (c)', 'infinity', 'sad')::place", "row(0.1, null, null, null)::place")),
    Kind("place[]", "text[]", ("array[row(1, '', '2020-01-01 00:00+00', null)::place, null]",)),
    Kind("trip", "text", ("row(row(5e-324, 'é', null, 'sad'), array[row(1, '{', null, null)::place], 1)::trip",)),
    Kind("checked_place", "text", ("row(1, 'x', null, null)::place",)),
    Kind("float_range", "text", ("'[0.1,2)'", "'empty'", "'(,)'", "'[5e-324,Infinity]'")),
    Kind("float_ranges", "text", ("'{}'", "'{[0.1,0.2),[1,)}'")),
    Kind("float_range[]", "text[]", ("array['[1,2)', null]::float_range[]",)),
    Kind("numeric(10,2)", "numeric(10,2)", ("1.1", "'-99999999.99'")),
    Kind("numeric(5,-2)", "numeric(5,-2)", ("1234500",)),
    Kind("numeric(2,5)", "numeric(2,5)", ("0.00012",)),
    Kind("numeric(10,2)[]", "numeric(10,2)[]", ("'{1.1,null}'",)),
    Kind("char(5)", "character(5)", ("'ab'", "'ab  '", "''", "'☃'")),
    Kind("char(5)[]", "character(5)[]", ("'{ab,null}'",)),
    Kind("char", "character(1)", ("'a'",)),
    Kind("varchar(3)", "character varying(3)", ("'☃☃☃'", "'a '")),
    Kind("varchar(3)[]", "character varying(3)[]", ("'{abc,null}'",)),
    Kind("timestamp(3)", "timestamp(3) without time zone", ("'2020-01-01 00:00:00.1234'",)),
    Kind("timestamptz(0)", "timestamp(0) with time zone", ("'2020-01-01 00:00:00.5+00'",)),
    Kind("time(0)", "time(0) without time zone", ("'24:00'",)),
    Kind("timetz(2)[]", "time(2) with time zone[]", ("'{12:00:00.128+01}'",)),
    Kind("interval(3)", "interval(3)", ("'1 mon 00:00:00.1239'",)),
    Kind("interval day to second(2)", "interval day to second(2)", ("'3 days 00:00:01.239'",)),
    Kind("interval year", "interval year", ("'3 years'",)),
    Kind("bit(3)", "bit(3)", ("b'101'",)),
    Kind("bit(3)[]", "bit(3)[]", ("array[b'101', null]::bit(3)[]",)),
    Kind("varbit(5)", "bit varying(5)", ("b'1'",)),
    Kind("integer[][][]", "integer[]", ("'{{{1,2}},{{3,null}}}'",)),
    Kind('text collate "C"', "text", ("'Ä'",)),
    Kind("citext", "text", ("'MiXed'",), "citext"),
    Kind("citext[]", "text[]", ("'{A,a}'",), "citext"),
    Kind("hstore", "text", ('\'a=>null, "b c"=>""\'',), "hstore"),
    Kind("ltree", "text", ("'a.b.c'",), "ltree"),
    Kind("cube", "text", ("'(0.1, 1e-300),(1, 2)'",), "cube"),
    Kind("seg", "text", ("'1.50 .. 2'", "'~3'"), "seg"),
    Kind("isbn13", "text", ("'978-0-393-04002-9'",), "isn"),
    Kind("vector", "text", ("'[0.1,2,3]'",), "vector"),
)
