/** Which routes there are: for the documentation, and for telling a wrong method from a wrong path. */
import type { FastifyContextConfig, FastifyInstance, FastifySchema } from 'fastify';

export interface DocumentedRoute {
  readonly method: string;
  /** With parameters as `:name`. */
  readonly url: string;
  readonly schema?: FastifySchema | undefined;
  readonly config?: FastifyContextConfig | undefined;
}

/** A list that grows with every route that is added from now on. */
export function collectRoutes(app: FastifyInstance): readonly DocumentedRoute[] {
  const routes: DocumentedRoute[] = [];
  app.addHook('onRoute', ({ method, url, schema, config }) => {
    for (const one of [method].flat()) if (one !== 'HEAD') routes.push({ method: one, url, schema, config });
  });
  return routes;
}

/** The methods that a path knows, HEAD beside GET; empty where the path is unknown. */
export function methodsOf(routes: readonly DocumentedRoute[], path: string): string[] {
  return routes
    .filter(({ url }) => matches(url, path))
    .flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
}

function matches(url: string, path: string): boolean {
  const pattern = url.split('/');
  const parts = path.split('/');
  return (
    pattern.length === parts.length &&
    pattern.every((part, index) => part === parts[index] || (part.startsWith(':') && parts[index] !== ''))
  );
}
