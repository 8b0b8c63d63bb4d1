# The official PostgreSQL image with Amelia built in, preloaded, and created in
# the database of POSTGRES_DB at first start.
ARG PG_MAJOR=16

FROM postgres:${PG_MAJOR} AS build
ARG PG_MAJOR
RUN apt-get update && \
    apt-get install -y --no-install-recommends gcc libc6-dev make postgresql-server-dev-${PG_MAJOR}
WORKDIR /build
COPY . .
RUN make clean install DESTDIR=/installed \
    PG_CONFIG=/usr/lib/postgresql/${PG_MAJOR}/bin/pg_config

FROM postgres:${PG_MAJOR}
COPY --from=build /installed/ /
COPY docker/create-extension.sql /docker-entrypoint-initdb.d/10-amelia.sql
CMD ["postgres", "-c", "shared_preload_libraries=amelia"]
