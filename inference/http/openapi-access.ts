/** What the OpenAPI document says of who may ask: as this server has it, and another one need not. */
import { type AccessConfig, mayLimit } from '../config/access.ts';
import { isLimited, type Scope, scopeMeanings } from '../config/scopes.ts';
import type { ErrorCode } from '../errors.ts';

type Json = Record<string, unknown>;

export function securitySchemes({ mode, jwt }: AccessConfig): Json {
  if (mode === 'off') return {};
  const scopes = Object.entries(scopeMeanings).map(([scope, meaning]) => `- \`${scope}\`: ${meaning}`);
  const scopeList = `An operation names the scope that it needs:\n\n${scopes.join('\n')}`;
  const bearer =
    jwt === undefined
      ? { description: `The same key in another header. ${scopeList}` }
      : {
          bearerFormat: 'JWT',
          description: `A signed token that tells its scopes as words in the claim \`scope\` or as a list in \`scopes\`; an API key is read here too. ${scopeList}`,
        };
  return {
    apiKey: {
      type: 'apiKey',
      in: 'header',
      name: 'X-API-Key',
      description: `A key with the scopes that it was given. ${scopeList}`,
    },
    bearer: { type: 'http', scheme: 'bearer', ...bearer },
  };
}

/** Any of these is enough; an empty one is a request without credentials. */
export function security(scope: Scope | undefined, { mode }: AccessConfig): readonly Json[] {
  if (scope === undefined || mode === 'off') return [];
  return [{ apiKey: [scope] }, { bearer: [scope] }, ...(mode === 'optional' ? [{}] : [])];
}

export function accessErrors(scope: Scope | undefined, access: AccessConfig): readonly ErrorCode[] {
  if (scope === undefined) return [];
  const { mode, jwt } = access;
  return [
    ...(mode === 'off' ? [] : (['unauthorized', 'insufficient_scope'] as const)),
    ...(mode === 'off' || jwt === undefined ? [] : (['invalid_token'] as const)),
    ...(mode !== 'off' && jwt?.keys.kind === 'jwks-url' ? (['token_keys_unavailable'] as const) : []),
    ...(isLimited(scope) && mayLimit(access) ? (['rate_limited'] as const) : []),
  ];
}
