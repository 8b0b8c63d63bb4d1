-- Files: saving and finding them.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers
\set saga :abs_srcdir '/saga.psql'
\i :saga

SELECT amelia_saga.save_file('cart.py', 'src/cart.py', 'text/x-python', 'def total(items): return sum(items)', '["python", "shop code"]', 42,
	'2025-01-01 10:00Z', '{"k": 1}', 'f1');
SELECT id, filename, filepath, file_type, extracted_text, tags, file_size, uploaded_at, metadata, search FROM amelia_saga.get_file('f1') \gx
SELECT amelia_saga.save_file('notes', '/n', 'text/plain') ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7' AS id_of_version_7;
SELECT extracted_text, tags, file_size, metadata FROM amelia_saga.files WHERE filename = 'notes';
SELECT amelia_saga.save_file('total cart', '/t', 'text/plain', NULL, NULL, NULL, NULL, NULL, 'nulls');
SELECT count(*) FROM amelia_saga.get_file('nobody');
SELECT amelia_saga.save_file('cart.py', 'src/cart.py', 'text/x-python', 'def total(items): return sum(items)', '["python", "shop code"]', 42,
	metadata => '{"k": 1}', id => 'f1');
SELECT t.saga_digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT amelia_saga.save_file('cart.py', 'src/cart.py', 'text/x-python', 'other', '["python", "shop code"]', 42, metadata => '{"k": 1}', id => 'f1')$$,
	$$SELECT amelia_saga.save_file('cart.py', 'src/cart.py', 'text/x-python', 'def total(items): return sum(items)', '["python", "shop code"]', 43, metadata => '{"k": 1}', id => 'f1')$$,
	$$SELECT amelia_saga.save_file(NULL, 'p', 't')$$,
	$$SELECT amelia_saga.save_file(' ', 'p', 't')$$,
	$$SELECT amelia_saga.save_file('f', NULL, 't')$$,
	$$SELECT amelia_saga.save_file('f', '', 't')$$,
	$$SELECT amelia_saga.save_file('f', 'p', NULL)$$,
	$$SELECT amelia_saga.save_file('f', 'p', '')$$,
	$$SELECT amelia_saga.save_file('f', 'p', 't', tags => '"x"')$$,
	$$SELECT amelia_saga.save_file('f', 'p', 't', metadata => '[]')$$,
	$$SELECT amelia_saga.save_file('f', 'p', 't', file_size => -1)$$,
	$$SELECT amelia_saga.save_file('f', 'p', 't', id => ' ')$$,
	$$INSERT INTO amelia_saga.files (filename, filepath, file_type) VALUES ('', 'p', 't')$$,
	$$INSERT INTO amelia_saga.files (filename, filepath, file_type) VALUES ('f', ' ', 't')$$,
	$$INSERT INTO amelia_saga.files (filename, filepath, file_type) VALUES ('f', 'p', NULL)$$,
	$$INSERT INTO amelia_saga.files (filename, filepath, file_type, extracted_text) VALUES ('f', 'p', 't', NULL)$$,
	$$INSERT INTO amelia_saga.files (filename, filepath, file_type, file_size) VALUES ('f', 'p', 't', -1)$$,
	$$INSERT INTO amelia_saga.files (filename, filepath, file_type, tags) VALUES ('f', 'p', 't', '[{}]')$$,
	$$INSERT INTO amelia_saga.files (filename, filepath, file_type, metadata) VALUES ('f', 'p', 't', '1')$$);
SELECT t.saga_digest() = :'before' AS nothing_stored;

SELECT amelia_saga.save_files('[
	{"id": "g1", "filename": "a.txt", "filepath": "/a", "file_type": "text/plain", "extracted_text": "total words", "tags": ["x"], "file_size": 5, "uploaded_at": "2025-02-01Z", "metadata": {}},
	{"id": "g2", "filename": "b.txt", "filepath": "/b", "file_type": "text/plain", "extracted_text": null, "tags": null, "file_size": null, "uploaded_at": null, "metadata": null}]');
SELECT amelia_saga.save_files('[{"id": "g1", "filename": "a.txt", "filepath": "/a", "file_type": "text/plain", "extracted_text": "total words", "tags": ["x"], "file_size": 5}]');
SELECT t.saga_digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT amelia_saga.save_files(NULL)$$,
	$$SELECT amelia_saga.save_files('{}')$$,
	$$SELECT amelia_saga.save_files('[{"filename": "f", "filepath": "p", "file_type": "t", "extracted_text": {"a": 1}}]')$$,
	$$SELECT amelia_saga.save_files('[{"filename": "f", "filepath": "p", "file_type": "t", "uploaded_at": 5}]')$$,
	$$SELECT amelia_saga.save_files('[{"filename": "a", "filepath": "/a"}]')$$,
	$$SELECT amelia_saga.save_files('[{"filename": "a", "filepath": "/a", "file_type": "t", "size": 5}]')$$,
	$$SELECT amelia_saga.save_files('[{"filename": "a", "filepath": "/a", "file_type": "t", "file_size": -5}]')$$,
	$$SELECT amelia_saga.save_files('[{"filename": "a", "filepath": "/a", "file_type": "t", "file_size": "big"}]')$$,
	$$SELECT amelia_saga.save_files('[{"filename": "a", "filepath": "/a", "file_type": "t", "tags": [1]}]')$$,
	$$SELECT amelia_saga.save_files('[{"id": "z", "filename": "a", "filepath": "/a", "file_type": "t"}, {"id": "g1", "filename": "a", "filepath": "/a", "file_type": "t"}]')$$);
SELECT t.saga_digest() = :'before' AS nothing_stored;

-- Where the words stand: name, text and tags are apart.
UPDATE amelia_saga.files SET uploaded_at = '2025-01-01Z' WHERE uploaded_at > '2025-06-01Z';
SELECT q.query, string_agg(f.id, ' ' ORDER BY f.id) AS found
FROM (VALUES ('total'), ('filename : total'), ('extracted_text : total'), ('- filename : total'), ('{filename tags} : (total OR code)'), ('"cart py"'),
		('"py def"'), ('NEAR(cart total, 100)'), ('^total'), ('extracted_text : ^total'), ('^code'), ('tags : ^shop'), ('"python shop"'), ('FileName : "cart"*')) AS q (query)
	LEFT JOIN LATERAL amelia_saga.search_files(q.query) AS f ON true
GROUP BY q.query ORDER BY q.query COLLATE "C";
SELECT * FROM amelia_saga.search_files('cart') LIMIT 1 \gx
SELECT id FROM amelia_saga.search_files('total', ARRAY['x']);
SELECT id FROM amelia_saga.search_files('total', file_types => ARRAY['text/x-python', 'none']);
SELECT id FROM amelia_saga.search_files('total', since => '2025-02-01Z');
SELECT id FROM amelia_saga.search_files('total', until => '2025-02-01Z', row_limit => 1);
SELECT id, snippet FROM amelia_saga.search_files('shop', marks => '{<,>}');
SELECT * FROM t.errors(
	$$SELECT amelia_saga.search_files(NULL)$$,
	$$SELECT amelia_saga.search_files('content : a')$$,
	$$SELECT amelia_saga.search_files('a', row_limit => 501)$$,
	$$SELECT amelia_saga.search_files('a', mode => 'english')$$);
