-- Run once by the image, in POSTGRES_DB, when the data volume is empty.
CREATE EXTENSION amelia;
