/** Who sends a request, and what they may do. */
import type { RateLimits, Scope } from '../../config/scopes.ts';

export interface Principal {
  /** `none`: nothing was presented. */
  readonly method: 'key' | 'token' | 'none';
  /** Name of the key or `sub` of the token, never a secret; unique within its method. */
  readonly subject: string;
  readonly scopes: ReadonlySet<Scope>;
  /** What holds instead of the server's limits. */
  readonly rateLimits: Partial<RateLimits>;
}

export function anonymous(scopes: readonly Scope[]): Principal {
  return { method: 'none', subject: 'anonymous', scopes: new Set(scopes), rateLimits: {} };
}
