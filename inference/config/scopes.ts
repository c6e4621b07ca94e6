/** What a client may do. No scope implies another: who manages models need not be able to upload media. */
export const scopes = ['predict', 'batch', 'explain', 'read', 'admin'] as const;

export type Scope = (typeof scopes)[number];

export const scopeMeanings: Readonly<Record<Scope, string>> = {
  predict: 'have a file judged',
  batch: 'have many files judged at once',
  explain: 'have the heat map of a file',
  read: 'see the models, their statistics and progress',
  admin: 'load and unload models',
};

/** Scopes whose requests cost analyses: their number per minute can be limited. */
export const limitedScopes = ['predict', 'batch', 'explain'] as const satisfies readonly Scope[];

export type LimitedScope = (typeof limitedScopes)[number];

export function isLimited(scope: Scope): scope is LimitedScope {
  return limitedScopes.some((limited) => limited === scope);
}

/** Requests per minute; 0 is no limit. */
export type RateLimits = Readonly<Record<LimitedScope, number>>;
