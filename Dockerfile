# One image for all five services; docker-compose.yml says which one a container runs. `make digests` says how PYTHON is pinned.
ARG PYTHON=python:3.12-slim
FROM $PYTHON AS build
WORKDIR /src
RUN python -m venv /opt/omnijourney
ENV PATH=/opt/omnijourney/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# The locked libraries first: this layer stays while only the product's code changes.
COPY requirements/traces.txt requirements/traces.txt
RUN pip install --require-hashes -r requirements/traces.txt
COPY pyproject.toml README.md ./
COPY libs libs
COPY services services
RUN pip install --no-deps --no-build-isolation --no-index .

FROM $PYTHON
RUN useradd --system --uid 10001 --no-create-home omnijourney \
    && install -d -o omnijourney -m 700 /var/lib/omnijourney/credentials
COPY --from=build /opt/omnijourney /opt/omnijourney
ENV PATH=/opt/omnijourney/bin:$PATH PYTHONUNBUFFERED=1 OMNIJOURNEY_BIND_HOST=0.0.0.0
USER omnijourney
ENTRYPOINT ["python", "-m"]
CMD ["services.journey"]
