-- SPDX-License-Identifier: Apache-2.0
--
-- Order keys.
.site a
SELECT crsql_fract_key_between(NULL, NULL);
--> 'a '
SELECT crsql_fract_key_between('a ', NULL), crsql_fract_key_between(NULL, 'a '), crsql_fract_key_between('a ', 'a!');
--> 'a!'|'Z~'|'a P'
SELECT crsql_fract_key_between('a~', NULL), crsql_fract_key_between('Z~', 'a '), crsql_fract_key_between(NULL, 'Z ');
--> 'b  '|'Z~P'|'Y~~'
SELECT crsql_fract_key_between('a P', 'a!'), crsql_fract_key_between('a ', 'a P'), crsql_fract_key_between('a ', 'a !');
--> 'a h'|'a 8'|'a  P'
SELECT crsql_fract_key_between('b', NULL);
--! merrow: not an order key: 'b'
SELECT crsql_fract_key_between('a!', 'a ');
--! merrow: order key 'a!' is not below 'a '
SELECT crsql_fract_key_between(NULL, 'A' || '                          ');
--! merrow: not an order key: 'A                          '
SELECT crsql_fract_key_between(1, 2);
--! merrow: an order key is a text, not 1
CREATE TABLE todo (id INTEGER PRIMARY KEY NOT NULL, list TEXT, position, text TEXT);
SELECT crsql_as_crr('todo');
--> 'OK'
SELECT crsql_fract_as_ordered('todo', 'position', 'list');
--> NULL
INSERT INTO todo VALUES (1, 'home', 1, 'first'), (2, 'home', 1, 'appended'), (3, 'home', -1, 'before all'), (4, 'work', 1, 'other list');
SELECT id, position FROM todo WHERE list = 'home' ORDER BY position;
--> 3|'Z~'
--> 1|'a '
--> 2|'a!'
INSERT INTO todo_fractindex (id, list, text, after_id) VALUES (5, 'home', 'behind 1', 1);
INSERT INTO todo_fractindex (id, list, text, after_id) VALUES (6, 'home', 'before all', NULL);
INSERT INTO todo_fractindex (id, list, text, after_id) VALUES (7, 'home', 'at the end', 2);
SELECT id, position FROM todo WHERE list = 'home' ORDER BY position;
--> 6|'Z}'
--> 3|'Z~'
--> 1|'a '
--> 5|'a P'
--> 2|'a!'
--> 7|'a"'
-- Moves.
UPDATE todo_fractindex SET after_id = 2 WHERE id = 6;
UPDATE todo SET position = 1 WHERE id = 3;
UPDATE todo SET position = -1 WHERE id = 7;
SELECT id, position FROM todo WHERE list = 'home' ORDER BY position;
--> 7|'Z~'
--> 1|'a '
--> 5|'a P'
--> 2|'a!'
--> 6|'a!P'
--> 3|'a#'
UPDATE todo_fractindex SET text = 'no move' WHERE id = 5;
SELECT id, position, text FROM todo WHERE id = 5;
--> 5|'a P'|'no move'
-- Two rows with one key are taken apart by whoever inserts behind one of them.
UPDATE todo SET position = (SELECT position FROM todo WHERE id = 1) WHERE id = 5;
INSERT INTO todo_fractindex (id, list, text, after_id) VALUES (8, 'home', 'between', 1);
SELECT id, position FROM todo WHERE list = 'home' AND id IN (1, 5, 8) ORDER BY position;
--> 1|'Z~P'
--> 8|'Z~h'
--> 5|'a '
-- What is written this way is recorded as any write.
SELECT count(*) FROM crsql_changes WHERE pk = crsql_pack_columns(8);
--> 3
SELECT crsql_fract_as_ordered('todo', 'nothing');
--! merrow: table todo has no column "nothing"
SELECT crsql_fract_as_ordered('nowhere', 'x');
--! merrow: table nowhere has no column "x"
