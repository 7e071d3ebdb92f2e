-- The main branch of March 2025, with its pgvector app, which it needs: what a real run of it left in SQLite.
-- Only the ids of content types are looked up instead.

INSERT INTO django_migrations (app, name, applied) VALUES ('wagtail_vector_index', '0001_initial', '2024-06-20 12:00:00+00:00');
INSERT INTO django_migrations (app, name, applied) VALUES ('pgvector', '0001_enable_pgvector_extension', '2024-06-20 12:00:00+00:00');
INSERT INTO django_migrations (app, name, applied) VALUES ('pgvector', '0002_initial', '2024-06-20 12:00:00+00:00');
INSERT INTO django_migrations (app, name, applied) VALUES ('wagtail_vector_index', '0002_rename_embedding_model', '2024-06-20 12:00:00+00:00');
INSERT INTO django_migrations (app, name, applied) VALUES ('pgvector', '0003_alter_pgvectorembedding_embedding', '2024-06-20 12:00:00+00:00');
INSERT INTO django_migrations (app, name, applied) VALUES ('wagtail_vector_index', '0003_adjust_document_fields', '2024-06-20 12:00:00+00:00');
INSERT INTO django_migrations (app, name, applied) VALUES ('pgvector', '0004_rename_pgvector_embedding_col', '2024-06-20 12:00:00+00:00');
INSERT INTO django_content_type (app_label, model) VALUES ('wagtail_vector_index', 'document');
INSERT INTO auth_permission (name, codename, content_type_id)
    SELECT 'Can add document', 'add_document', id FROM django_content_type
    WHERE app_label = 'wagtail_vector_index' AND model = 'document';
INSERT INTO auth_permission (name, codename, content_type_id)
    SELECT 'Can change document', 'change_document', id FROM django_content_type
    WHERE app_label = 'wagtail_vector_index' AND model = 'document';
INSERT INTO auth_permission (name, codename, content_type_id)
    SELECT 'Can delete document', 'delete_document', id FROM django_content_type
    WHERE app_label = 'wagtail_vector_index' AND model = 'document';
INSERT INTO auth_permission (name, codename, content_type_id)
    SELECT 'Can view document', 'view_document', id FROM django_content_type
    WHERE app_label = 'wagtail_vector_index' AND model = 'document';
INSERT INTO django_content_type (app_label, model) VALUES ('pgvector', 'pgvectorembedding');
INSERT INTO auth_permission (name, codename, content_type_id)
    SELECT 'Can add pgvector embedding', 'add_pgvectorembedding', id FROM django_content_type
    WHERE app_label = 'pgvector' AND model = 'pgvectorembedding';
INSERT INTO auth_permission (name, codename, content_type_id)
    SELECT 'Can change pgvector embedding', 'change_pgvectorembedding', id FROM django_content_type
    WHERE app_label = 'pgvector' AND model = 'pgvectorembedding';
INSERT INTO auth_permission (name, codename, content_type_id)
    SELECT 'Can delete pgvector embedding', 'delete_pgvectorembedding', id FROM django_content_type
    WHERE app_label = 'pgvector' AND model = 'pgvectorembedding';
INSERT INTO auth_permission (name, codename, content_type_id)
    SELECT 'Can view pgvector embedding', 'view_pgvectorembedding', id FROM django_content_type
    WHERE app_label = 'pgvector' AND model = 'pgvectorembedding';
CREATE TABLE "wagtail_vector_index_document" (
    "id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    "vector" text NOT NULL CHECK ((JSON_VALID("vector") OR "vector" IS NULL)),
    "content" text NOT NULL,
    "object_keys" text NOT NULL CHECK ((JSON_VALID("object_keys") OR "object_keys" IS NULL)),
    "metadata" text NOT NULL CHECK ((JSON_VALID("metadata") OR "metadata" IS NULL))
);
CREATE TABLE "pgvector_pgvectorembedding" (
    "id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    "vector" vector NOT NULL,
    "embedding_output_dimensions" integer unsigned NOT NULL CHECK ("embedding_output_dimensions" >= 0),
    "index_name" text NOT NULL,
    "document_id" integer NOT NULL REFERENCES "wagtail_vector_index_document" ("id") DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT "unique_pgvector_embedding_per_index_and_dimensions" UNIQUE ("document_id", "index_name", "embedding_output_dimensions")
);
CREATE INDEX "pgvector_pg_index_n_9af56b_idx" ON "pgvector_pgvectorembedding" ("index_name");
CREATE INDEX "pgvector_pgvectorembedding_document_id_f4267aa6" ON "pgvector_pgvectorembedding" ("document_id");
CREATE INDEX "pgvector_pgvectorembedding_embedding_output_dimensions_934747e5" ON "pgvector_pgvectorembedding" ("embedding_output_dimensions");
INSERT INTO wagtail_vector_index_document (id, vector, content, object_keys, metadata) VALUES (
    1,
    '[-0.4140625, -0.5390625, 0.1953125, -0.390625]',
    '
Bread
Flour, water, salt and time.',
    '["oldsite.BlogPage:3", "wagtailcore.Page:3"]',
    '{}'
);
INSERT INTO wagtail_vector_index_document (id, vector, content, object_keys, metadata) VALUES (
    2,
    '[-0.3828125, 0.6328125, -0.5390625, -0.9921875]',
    '
Tea
Leaves in hot, not boiling, water; it''s "good".',
    '["oldsite.BlogPage:4", "wagtailcore.Page:4"]',
    '{}'
);
INSERT INTO pgvector_pgvectorembedding (id, vector, embedding_output_dimensions, index_name, document_id) VALUES (
    1,
    '[-0.4140625,-0.5390625,0.1953125,-0.390625]',
    4,
    'BlogPageIndex',
    1
);
INSERT INTO pgvector_pgvectorembedding (id, vector, embedding_output_dimensions, index_name, document_id) VALUES (
    2,
    '[-0.3828125,0.6328125,-0.5390625,-0.9921875]',
    4,
    'BlogPageIndex',
    2
);
