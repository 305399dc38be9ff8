# syntax=docker/dockerfile:1
# The daemon in a container: two stages, so that pip, caches and compilers stay behind. Run it with a read-only root,
# a volume at /var/lib/alphatrade and a tmpfs at /tmp, as config/ops/compose/compose.yaml does.
# PostgreSQL and Valkey are services beside it: the image holds no servers.

ARG PYTHON_TAG=3.13.11-slim-bookworm
# A release is built with --build-arg PYTHON_DIGEST=sha256:…, which pins the base byte for byte.
ARG PYTHON_DIGEST=

FROM python:${PYTHON_TAG}${PYTHON_DIGEST:+@${PYTHON_DIGEST}} AS build
WORKDIR /app
COPY requirements/image.txt requirements/image.txt
RUN python -m venv --without-pip .venv \
 && python -m pip --python .venv/bin/python install --no-cache-dir --no-compile --require-hashes --no-deps \
        --only-binary :all: --requirement requirements/image.txt \
 && rm -r requirements
COPY LICENSE alembic.ini main.py ./
COPY config/ config/
COPY quant_trading_system/ quant_trading_system/
# Compiled here, because nothing can be written later; unchecked, because nothing can change later either. Without
# bytecode a start takes three times as long.
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash quant_trading_system main.py .venv/lib

FROM python:${PYTHON_TAG}${PYTHON_DIGEST:+@${PYTHON_DIGEST}}
RUN python -m pip uninstall --yes --root-user-action=ignore pip \
 && useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/alphatrade --shell /usr/sbin/nologin alphatrade \
 && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/alphatrade
COPY --from=build /app /app
WORKDIR /app
ENV PYTHONUNBUFFERED=1 \
    STATE_DIRECTORY=/var/lib/alphatrade
VOLUME /var/lib/alphatrade
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=90s --retries=3 \
    CMD ["/app/.venv/bin/python", "-m", "quant_trading_system.cli.probe"]
ENTRYPOINT ["/app/.venv/bin/python", "/app/main.py"]
CMD ["trade", "--mode", "sim"]
