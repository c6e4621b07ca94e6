/** Who may ask, how often, and what is written down of it, as the environment says it. Files are read later, by those who use them. */
import { isIP, isIPv6 } from 'node:net';
import { z } from 'zod';
import { count, isLoopback, list, type Problem } from './fields.ts';
import { type RateLimits, type Scope, scopes } from './scopes.ts';

/** A shorter secret can be guessed from any token that it has signed (RFC 7518, section 3.2). */
export const minSecretBytes = 32;

const requestsPerMinute = count(0, 0, 1_000_000);

/** Kept out of everything that is printed or logged. */
const secret = { secret: true };
/** Has to be readable. */
const path = { path: true };

export const accessVariables = {
  API_KEY: list.optional().meta(secret).describe('Accepted keys, each with every scope; a list.'),
  API_KEYS_FILE: z
    .string()
    .optional()
    .meta(path)
    .describe('YAML or JSON with hashed keys, scopes and expiry dates; read again when it changes.'),
  AUTH_MODE: z
    .enum(['required', 'optional', 'off'])
    .optional()
    .describe(
      'Whether requests need credentials; by default where there are any or on a public address. `optional`: none is anonymous, wrong ones are refused.',
    ),
  ANONYMOUS_SCOPES: list
    .pipe(z.array(z.enum(scopes)))
    .optional()
    .describe('What anonymous clients may do with AUTH_MODE=optional; by default predict,explain,read.'),
  JWT_JWKS_URL: z
    .string()
    .refine(isKeySetUrl, {
      message: 'is not https://HOST/PATH without credentials (http:// only for a loopback address)',
    })
    .optional()
    .describe('Key set of the issuer of tokens.'),
  JWT_JWKS_FILE: z.string().optional().meta(path).describe('The same as a file; read again when it changes.'),
  JWT_SECRET: z
    .string()
    .refine((text) => Buffer.byteLength(text) >= minSecretBytes, {
      message: `has fewer than ${minSecretBytes} bytes`,
    })
    .optional()
    .meta(secret)
    .describe('Secret of tokens signed with HS256.'),
  JWT_SECRET_FILE: z
    .string()
    .optional()
    .meta(path)
    .describe('The same as a file; read again when it changes.'),
  JWT_ISSUER: z.string().optional().describe('`iss` that tokens must have.'),
  JWT_AUDIENCE: list.optional().describe('Tokens must be for one of these; a list.'),
  JWT_CLOCK_TOLERANCE_S: count(30, 0, 600).describe('How far clocks may be apart.'),
  RATE_LIMIT_PREDICT: requestsPerMinute.describe('Requests per minute and client; 0 is no limit.'),
  RATE_LIMIT_BATCH: requestsPerMinute.describe('Requests per minute and client; 0 is no limit.'),
  RATE_LIMIT_EXPLAIN: requestsPerMinute.describe('Requests per minute and client; 0 is no limit.'),
  TRUST_PROXY: list
    .refine((proxies) => proxies.length > 0 && proxies.every(isAddressOrRange), {
      message:
        'is not a comma-separated list of addresses or CIDRs of proxies; a mere number of proxies would let every client that reaches the port name its own address',
    })
    .optional()
    .describe('Addresses and CIDRs of proxies whose X-Forwarded-For is believed; a list.'),
  CORS_ORIGINS: list
    .refine((origins) => origins.every(isOrigin), {
      message: 'is neither * nor a comma-separated list of origins such as https://app.example.com',
    })
    .optional()
    .describe('Origins whose pages may read answers; `*` or a list.'),
  AUDIT_LOG_FILE: z.string().optional().describe('Every decision and refusal is appended to it as JSON.'),
};

type AccessEnvironment = z.infer<z.ZodObject<typeof accessVariables>> & { readonly HOST: string };

export type JwtKeySource =
  | { readonly kind: 'jwks-url'; readonly url: URL }
  | { readonly kind: 'jwks-file'; readonly path: string }
  | { readonly kind: 'secret'; readonly secret: string }
  | { readonly kind: 'secret-file'; readonly path: string };

export interface JwtConfig {
  readonly keys: JwtKeySource;
  readonly issuer: string;
  /** A token is for this server when it names one of them. */
  readonly audiences: readonly string[];
  /** How far the clocks of issuer and server may be apart. */
  readonly clockToleranceS: number;
}

export interface AccessConfig {
  /** `optional`: who presents nothing is anonymous; wrong credentials are refused all the same. `off`: everyone may do everything. */
  readonly mode: 'required' | 'optional' | 'off';
  /** In plain, as they are presented; each has every scope. */
  readonly apiKeys: readonly string[];
  readonly apiKeysFile: string | undefined;
  readonly anonymousScopes: readonly Scope[];
  readonly jwt: JwtConfig | undefined;
  readonly rateLimits: RateLimits;
  /** Addresses and CIDRs of proxies whose X-Forwarded-For is believed; undefined for none. */
  readonly trustedProxies: readonly string[] | undefined;
  /** Origins whose pages may read answers; undefined for none. */
  readonly corsOrigins: readonly string[] | undefined;
  readonly auditFile: string | undefined;
}

/** Keys in a file may bring limits of their own at any time. */
export function mayLimit({ rateLimits, apiKeysFile }: AccessConfig): boolean {
  return apiKeysFile !== undefined || Object.values(rateLimits).some((limit) => limit > 0);
}

/** @param data without contradictions */
export function accessConfig(data: AccessEnvironment): AccessConfig {
  const mode = authMode(data);
  return {
    mode,
    apiKeys: data.API_KEY ?? [],
    apiKeysFile: data.API_KEYS_FILE,
    anonymousScopes: mode === 'off' ? scopes : (data.ANONYMOUS_SCOPES ?? ['predict', 'explain', 'read']),
    jwt: jwtConfig(data),
    rateLimits: {
      predict: data.RATE_LIMIT_PREDICT,
      batch: data.RATE_LIMIT_BATCH,
      explain: data.RATE_LIMIT_EXPLAIN,
    },
    trustedProxies: data.TRUST_PROXY,
    corsOrigins: data.CORS_ORIGINS,
    auditFile: data.AUDIT_LOG_FILE,
  };
}

export function accessContradictions(data: AccessEnvironment): Problem[] {
  const problems: Problem[] = [];
  const mode = authMode(data);
  if (mode === 'required' && !hasCredentials(data)) {
    problems.push({
      variable: 'API_KEY',
      message: `is missing, but requests need one (HOST is ${data.HOST}); set API_KEY, API_KEYS_FILE or JWT_*, or AUTH_MODE=off where something else guards the port`,
    });
  }
  if (data.ANONYMOUS_SCOPES !== undefined && mode !== 'optional')
    problems.push({
      variable: 'ANONYMOUS_SCOPES',
      message: `is read with AUTH_MODE=optional only (it is ${mode})`,
    });
  return [...problems, ...jwtContradictions(data)];
}

function jwtContradictions(data: AccessEnvironment): Problem[] {
  const sources = keySourceVariables.filter((name) => data[name] !== undefined);
  const used = [...sources, ...jwtRuleVariables.filter((name) => isGiven(data[name]))];
  if (used.length === 0) return [];
  const problems = jwtRuleVariables
    .filter((name) => !isGiven(data[name]))
    .map((variable) => ({
      variable,
      message: `is missing; ${used.join(', ')} needs it, or tokens for others would be accepted`,
    }));
  if (sources.length === 1) return problems;
  const found = sources.length === 0 ? 'none is' : `${sources.join(', ')} are`;
  const variable = keySourceVariables.join(', ');
  return [...problems, { variable, message: `exactly one must be set (${found})` }];
}

const keySourceVariables = ['JWT_JWKS_URL', 'JWT_JWKS_FILE', 'JWT_SECRET', 'JWT_SECRET_FILE'] as const;
const jwtRuleVariables = ['JWT_ISSUER', 'JWT_AUDIENCE'] as const;

function isGiven(value: string | readonly string[] | undefined): boolean {
  return value !== undefined && value.length > 0;
}

function authMode(data: AccessEnvironment): AccessConfig['mode'] {
  const wantsCredentials = data.API_KEY !== undefined || hasCredentials(data);
  return data.AUTH_MODE ?? (wantsCredentials || !isLoopback(data.HOST) ? 'required' : 'off');
}

/** A list of keys that names none (`,`) is a mistake and must not open the server: it is none of them. */
function hasCredentials(data: AccessEnvironment): boolean {
  const readsTokens = keySourceVariables.some((name) => data[name] !== undefined);
  return isGiven(data.API_KEY) || data.API_KEYS_FILE !== undefined || readsTokens;
}

function jwtConfig(data: AccessEnvironment): JwtConfig | undefined {
  const keys = jwtKeySource(data);
  if (keys === undefined) return undefined;
  const { JWT_ISSUER: issuer = '', JWT_AUDIENCE: audiences = [] } = data;
  return { keys, issuer, audiences, clockToleranceS: data.JWT_CLOCK_TOLERANCE_S };
}

function jwtKeySource(data: AccessEnvironment): JwtKeySource | undefined {
  if (data.JWT_JWKS_URL !== undefined) return { kind: 'jwks-url', url: new URL(data.JWT_JWKS_URL) };
  if (data.JWT_JWKS_FILE !== undefined) return { kind: 'jwks-file', path: data.JWT_JWKS_FILE };
  if (data.JWT_SECRET !== undefined) return { kind: 'secret', secret: data.JWT_SECRET };
  if (data.JWT_SECRET_FILE !== undefined) return { kind: 'secret-file', path: data.JWT_SECRET_FILE };
  return undefined;
}

/** Who can change the keys on their way can make tokens. */
function isKeySetUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  const isSafe =
    protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname.replace(/^\[|\]$/g, '')));
  return isSafe && username === '' && password === '';
}

function isOrigin(text: string): boolean {
  return text === '*' || (URL.canParse(text) && new URL(text).origin === text);
}

function isAddressOrRange(text: string): boolean {
  const [address = '', prefix, ...more] = text.split('/');
  const maxPrefix = isIPv6(address) ? 128 : 32;
  const isPrefix = prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= maxPrefix);
  return isIP(address) !== 0 && isPrefix && more.length === 0;
}
