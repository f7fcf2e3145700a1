/** All routes, in one table: the app, the tests of its guards and its description are made from it. */
import { completionRoutes } from "./completions/completions.ts"
import type { Route } from "./context.ts"
import { modelRoutes } from "./models.ts"
import { stateRoutes } from "./state.ts"
import { tokenRoutes } from "./tokens.ts"

export const routes: readonly Route[] = [...stateRoutes, ...modelRoutes, ...completionRoutes, ...tokenRoutes]
