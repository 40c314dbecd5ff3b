# One image for every part; docker-compose.yml says which part a container is.

FROM python:3.13-slim AS build
WORKDIR /src
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
COPY requirements-uv.lock requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements-uv.lock \
    && python -m venv --without-pip /opt/deltaq \
    && uv pip install --no-cache --python /opt/deltaq/bin/python --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY api api
COPY service service
COPY workers workers
COPY deltaq deltaq
RUN uv pip install --no-cache --python /opt/deltaq/bin/python --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN useradd --uid 10001 --create-home deltaq \
    && install --directory --owner=deltaq --mode=0700 \
        /var/lib/deltaq /var/lib/deltaq/redis /var/lib/deltaq/artifacts /var/lib/deltaq/cache
COPY --from=build /opt/deltaq /opt/deltaq
ENV PATH=/opt/deltaq/bin:$PATH PYTHONUNBUFFERED=1 PYTHONSAFEPATH=1 DELTAQ_DATA_DIR=/var/lib/deltaq
USER deltaq
WORKDIR /var/lib/deltaq
CMD ["python", "-m", "service"]
