/** JSON Web Tokens: from a signed token to who sent it. */
import { errors, type JWTPayload, jwtVerify } from 'jose';
import type { JwtConfig } from '../../config/access.ts';
import { type Scope, scopes } from '../../config/scopes.ts';
import { ServiceError, serviceError } from '../../errors.ts';
import type { Principal } from './principal.ts';
import type { TokenKeys } from './token-keys.ts';

export type TokenRules = Omit<JwtConfig, 'keys'>;

const maxSubjectLength = 255;

/** @returns whether a bearer credential has the form of a signed token rather than of a key */
export function isToken(credential: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]*$/.test(credential);
}

/** @throws ServiceError invalid_token, token_keys_unavailable */
export async function verifyToken(
  token: string,
  keys: TokenKeys,
  { issuer, audiences, clockToleranceS }: TokenRules,
): Promise<Principal> {
  try {
    const { payload } = await jwtVerify(token, keys.get, {
      algorithms: [...keys.algorithms],
      issuer,
      audience: [...audiences],
      clockTolerance: clockToleranceS,
      requiredClaims: ['exp', 'sub'],
    });
    return principalOf(payload);
  } catch (error) {
    if (error instanceof ServiceError) throw error;
    throw serviceError('invalid_token', { reason: reasonOf(error) }, { cause: error });
  }
}

function principalOf({ sub, ...claims }: JWTPayload): Principal {
  if (typeof sub !== 'string' || sub === '' || sub.length > maxSubjectLength) {
    const reason = `its claim "sub" is not a text of 1 to ${maxSubjectLength} characters`;
    throw serviceError('invalid_token', { reason });
  }
  return { method: 'token', subject: sub, scopes: scopesOf(claims), rateLimits: {} };
}

/** `scope` is a text of words (RFC 8693), `scopes` a list; scopes of other services are none of ours. */
export function scopesOf(claims: JWTPayload): ReadonlySet<Scope> {
  const words = typeof claims['scope'] === 'string' ? claims['scope'].split(' ') : [];
  const listed: unknown[] = Array.isArray(claims['scopes']) ? claims['scopes'] : [];
  return new Set(scopes.filter((scope) => words.includes(scope) || listed.includes(scope)));
}

/** Says what a client can repair; nothing of the token is repeated. */
function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'it has expired';
  if (error instanceof errors.JWTClaimValidationFailed) return `its claim "${error.claim}" does not fit`;
  if (error instanceof errors.JOSEAlgNotAllowed || error instanceof errors.JOSENotSupported)
    return 'its algorithm is not one that this server takes';
  if (error instanceof errors.JWKSNoMatchingKey) return 'its key is not one of the issuer';
  if (error instanceof errors.JWKSMultipleMatchingKeys)
    return 'it does not say which key of the issuer ("kid")';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'its signature is wrong';
  return 'it is malformed';
}
