/** All routes, in one table: the app, the tests of its guards and its description are made from it. */
import { batchRoutes } from "./batches/batches.ts"
import { completionRoutes } from "./completions/completions.ts"
import type { Route } from "./context.ts"
import { embeddingRoutes } from "./embeddings.ts"
import { fileRoutes } from "./files/files.ts"
import { methodRoutes } from "./methods.ts"
import { modelRoutes } from "./models.ts"
import { descriptionRoutes } from "./open-api.ts"
import { responseRoutes } from "./responses/responses.ts"
import { stateRoutes } from "./state.ts"
import { stepRoutes } from "./steps.ts"
import { tokenRoutes } from "./tokens.ts"
import { version } from "./version.ts"

export const routes: readonly Route[] = [
  ...stateRoutes,
  ...modelRoutes,
  ...completionRoutes,
  ...responseRoutes,
  ...fileRoutes,
  ...batchRoutes,
  ...embeddingRoutes,
  ...tokenRoutes,
  ...methodRoutes,
  ...stepRoutes,
  ...descriptionRoutes(() => routes, version),
]
