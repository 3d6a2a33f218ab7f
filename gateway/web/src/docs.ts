/** The API's browsable page: Swagger UI over the gateway's own OpenAPI document. */
import "swagger-ui-dist/swagger-ui.css";
import "./styles/docs.css";

import { SwaggerUIBundle } from "swagger-ui-dist";

import { allowStylesOfScripts } from "./page-styles";

allowStylesOfScripts();
if (document.documentElement.dataset.mantineColorScheme === "dark") {
  document.documentElement.classList.add("dark-mode");
}
SwaggerUIBundle({
  url: "/api/v1/openapi.json",
  dom_id: "#root",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  tryItOutEnabled: true,
  persistAuthorization: false,
});
