# One image for the api, a worker and the simulator; the command says which: docker run … renderyard worker

FROM node:24-bookworm-slim AS modules
# npm's list of parts calls the whole by the name of its folder.
WORKDIR /renderyard
COPY package.json package-lock.json ./
COPY packages/shared/package.json packages/shared/
COPY services/api/package.json services/api/
COPY services/simulator/package.json services/simulator/
COPY services/standalone/package.json services/standalone/
COPY services/worker/package.json services/worker/
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
      --workspace @renderyard/api --workspace @renderyard/shared \
      --workspace @renderyard/simulator --workspace @renderyard/worker \
 # What the image has, with versions and licences: npm is told of nothing that was left out.
 && npm pkg delete devDependencies dependencies.@renderyard/standalone && rm -r services/standalone \
 && npm sbom --omit=dev --sbom-format=cyclonedx --sbom-type=application > sbom.cdx.json \
 # What is read at run time alone is kept: no types, no source maps, no documentation; licences stay.
 && find node_modules -type f \( -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' -o -name '*.map' -o -iname 'readme*.md' -o -iname 'changelog.md' \) -delete \
 && find node_modules -type d -empty -delete

FROM node:24-bookworm-slim AS app
WORKDIR /app
COPY --from=modules /renderyard/node_modules node_modules
COPY --from=modules /renderyard/sbom.cdx.json ./
COPY package.json LICENSE ./
COPY packages packages
COPY services/api services/api
COPY services/simulator services/simulator
COPY services/worker services/worker
COPY deploy/image deploy/image
COPY deploy/compose/secrets.ts deploy/compose/

# Each service is loaded once, as the user it will run as, so that what V8 compiles need not be compiled at every start.
FROM app AS compiled
RUN mkdir /compiled && chown 1000:1000 /compiled
USER 1000:1000
ENV NODE_COMPILE_CACHE=/compiled
RUN for service in api worker simulator; do node deploy/image/warm.ts $service || exit 1; done
# These end at once with a code of their own: a port is no port, and there is nothing to ask. What was written is for its
# owner only, who will be root.
RUN for service in api worker simulator; do METRICS_PORT=none SIMULATOR_PORT=none node deploy/image/main.ts $service; done; \
    node deploy/image/health.ts; chmod -R a+rX /compiled

FROM app
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Renderyard" \
      org.opencontainers.image.description="A queued batch-rendering service: prompts in, images in your bucket, every credit accounted for." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.base.name="docker.io/library/node:24-bookworm-slim"
COPY --from=compiled --chown=0:0 /compiled /app/.compiled
ENV NODE_ENV=production \
    NODE_COMPILE_CACHE=/app/.compiled \
    HOST=0.0.0.0 \
    METRICS_HOST=0.0.0.0 \
    METRICS_PORT=9464 \
    SIMULATOR_HOST=0.0.0.0 \
    DATA_DIR=/data
# Volumes that are mounted here begin as this user's.
RUN install -d -o 1000 -g 1000 /data /data/worker /data/worker/spool /secrets
USER 1000:1000
# A cache that cannot be read is passed over in silence, and every start takes twice as long.
RUN NODE_DEBUG_NATIVE=COMPILE_CACHE node deploy/image/main.ts none 2>&1 | grep -q 'was accepted'
EXPOSE 8080 8090 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s --start-interval=1s --retries=3 \
  CMD ["node", "/app/deploy/image/health.ts"]
ENTRYPOINT ["node", "/app/deploy/image/main.ts"]
CMD ["api"]
