"""The API's descriptions: OpenAPI, AsyncAPI and the page that shows both."""
