# syntax=docker/dockerfile:1
# A worker, or any other command of `scanner`, for amd64 and arm64:
#   docker buildx build --platform linux/amd64,linux/arm64 --tag ai-photo-scanner .

FROM python:3.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
WORKDIR /src
# First the layers that rarely change, so that they are cached.
COPY requirements/worker.txt requirements/build.txt requirements/
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes --requirement requirements/build.txt
# Wheels only: nothing is compiled, so this stage needs no compiler on either platform.
RUN python -m venv --without-pip /opt/scanner \
    && /opt/build/bin/pip --python /opt/scanner/bin/python install \
        --only-binary :all: --require-hashes --requirement requirements/worker.txt
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY scanner scanner
COPY workers workers
COPY storage storage
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels . \
    && /opt/build/bin/pip --python /opt/scanner/bin/python install \
        --no-deps --no-index /wheels/*.whl

FROM python:3.12-slim-bookworm
# The home folder keeps the host's id, which the workers of one machine share, and a hub's queue and
# store: volumes that are mounted there inherit the owner.
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin scanner \
    && mkdir -p /home/scanner/.local/state/scanner /home/scanner/.local/share/scanner \
    && chown -R scanner:scanner /home/scanner
COPY --from=build /opt/scanner /opt/scanner
COPY --chmod=0755 bin/container /usr/local/bin/container
ENV PATH=/opt/scanner/bin:$PATH PYTHONUNBUFFERED=1
USER scanner
WORKDIR /home/scanner
# Of a worker: it runs, and reaches its queue. What runs anything else has a check of its own, or none.
HEALTHCHECK --interval=30s --timeout=30s --start-period=1m --retries=2 \
    CMD ["scanner", "worker", "health"]
ENTRYPOINT ["container"]
CMD ["worker"]
