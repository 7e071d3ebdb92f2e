-- Release 0.10.0, without its pgvector app: what a real run of it left in SQLite.
-- Only the ids of content types are looked up instead.

INSERT INTO django_migrations (app, name, applied) VALUES ('wagtail_vector_index', '0001_initial', '2024-06-20 12:00:00+00:00');
INSERT INTO django_content_type (app_label, model) VALUES ('wagtail_vector_index', 'embedding');
INSERT INTO auth_permission (name, codename, content_type_id)
    SELECT 'Can add embedding', 'add_embedding', id FROM django_content_type
    WHERE app_label = 'wagtail_vector_index' AND model = 'embedding';
INSERT INTO auth_permission (name, codename, content_type_id)
    SELECT 'Can change embedding', 'change_embedding', id FROM django_content_type
    WHERE app_label = 'wagtail_vector_index' AND model = 'embedding';
INSERT INTO auth_permission (name, codename, content_type_id)
    SELECT 'Can delete embedding', 'delete_embedding', id FROM django_content_type
    WHERE app_label = 'wagtail_vector_index' AND model = 'embedding';
INSERT INTO auth_permission (name, codename, content_type_id)
    SELECT 'Can view embedding', 'view_embedding', id FROM django_content_type
    WHERE app_label = 'wagtail_vector_index' AND model = 'embedding';
CREATE TABLE "wagtail_vector_index_embedding" (
    "id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    "object_id" varchar(255) NOT NULL,
    "vector" text NOT NULL CHECK ((JSON_VALID("vector") OR "vector" IS NULL)),
    "content" text NOT NULL,
    "base_content_type_id" integer NOT NULL REFERENCES "django_content_type" ("id") DEFERRABLE INITIALLY DEFERRED,
    "content_type_id" integer NOT NULL REFERENCES "django_content_type" ("id") DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX "wagtail_vector_index_embedding_base_content_type_id_725a41c9" ON "wagtail_vector_index_embedding" ("base_content_type_id");
CREATE INDEX "wagtail_vector_index_embedding_content_type_id_7e226b65" ON "wagtail_vector_index_embedding" ("content_type_id");
INSERT INTO wagtail_vector_index_embedding (id, object_id, vector, content, base_content_type_id, content_type_id) VALUES (
    1,
    '3',
    '[-0.4140625, -0.5390625, 0.1953125, -0.390625]',
    '
Bread
Flour, water, salt and time.',
    (SELECT id FROM django_content_type WHERE app_label = 'wagtailcore' AND model = 'page'),
    (SELECT id FROM django_content_type WHERE app_label = 'wagtailcore' AND model = 'page')
);
INSERT INTO wagtail_vector_index_embedding (id, object_id, vector, content, base_content_type_id, content_type_id) VALUES (
    2,
    '4',
    '[-0.3828125, 0.6328125, -0.5390625, -0.9921875]',
    '
Tea
Leaves in hot, not boiling, water; it''s "good".',
    (SELECT id FROM django_content_type WHERE app_label = 'wagtailcore' AND model = 'page'),
    (SELECT id FROM django_content_type WHERE app_label = 'wagtailcore' AND model = 'page')
);
