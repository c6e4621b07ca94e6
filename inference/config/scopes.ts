/** What a client may do. No scope implies another: who manages models need not be able to upload media. */
export const scopes = ['predict', 'batch', 'explain', 'read', 'admin'] as const;

export type Scope = (typeof scopes)[number];

/** Scopes whose requests cost analyses: their number per minute can be limited. */
export const limitedScopes = ['predict', 'batch', 'explain'] as const satisfies readonly Scope[];

export type LimitedScope = (typeof limitedScopes)[number];

/** Requests per minute; 0 is no limit. */
export type RateLimits = Readonly<Record<LimitedScope, number>>;
