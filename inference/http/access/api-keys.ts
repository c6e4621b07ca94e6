/** API keys. Only their hashes stay in memory, and a comparison takes the same time whatever the key. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { parse, YAMLParseError } from 'yaml';
import { z } from 'zod';
import { limitedScopes, type RateLimits, type Scope, scopes } from '../../config/scopes.ts';

export interface ApiKey {
  readonly name: string;
  /** SHA-256 of the key. */
  readonly hash: Buffer;
  readonly scopes: readonly Scope[];
  /** Milliseconds since 1970; Infinity for a key without end. */
  readonly expiresAt: number;
  readonly rateLimits: Partial<RateLimits>;
}

/** A shorter key can be found from its hash by trying. */
const minKeyLength = 20;
const hashAdvice =
  'is not sha256:<64 hex>; a key is never kept in plain: hash it with node inference/main.ts hash-key < FILE_WITH_THE_KEY';

const keySchema = z
  .strictObject({
    name: z.string().regex(/^[\w.-]{1,64}$/, 'is not 1 to 64 letters, digits, dots, hyphens or underscores'),
    hash: z.string(hashAdvice).regex(/^sha256:[0-9a-f]{64}$/, hashAdvice),
    scopes: z.array(z.enum(scopes)).min(1),
    expires: z.iso.datetime({ offset: true }).optional(),
    rate_limits: z.partialRecord(z.enum(limitedScopes), z.number().int().min(0)).default({}),
  })
  .transform(
    ({ name, hash, scopes: granted, expires, rate_limits: rateLimits }): ApiKey => ({
      name,
      hash: Buffer.from(hash.slice('sha256:'.length), 'hex'),
      scopes: granted,
      expiresAt: expires === undefined ? Number.POSITIVE_INFINITY : Date.parse(expires),
      rateLimits,
    }),
  );

const fileSchema = z.strictObject({
  keys: z
    .array(keySchema)
    .min(1)
    .refine((keys) => areUnique(keys.map(({ name }) => name)), 'two keys have the same name')
    .refine((keys) => areUnique(keys.map(({ hash }) => hash.toString('hex'))), 'two keys have the same hash'),
});

/**
 * @param text YAML or JSON: `{keys: [{name, hash, scopes, expires?, rate_limits?}]}`
 * @throws Error, one line with every problem; it repeats no value, since one may be a key in plain
 */
export function parseApiKeys(text: string): ApiKey[] {
  const parsed = fileSchema.safeParse(parseYaml(text));
  if (parsed.success) return parsed.data.keys;
  throw new Error(parsed.error.issues.map(describe).join('; '));
}

/** Keys of the environment: they have every scope and are called by their place. */
export function unlimitedKeys(keys: readonly string[]): ApiKey[] {
  return keys.map((key, index) => ({
    name: `API_KEY#${index + 1}`,
    hash: sha256(key),
    scopes,
    expiresAt: Number.POSITIVE_INFINITY,
    rateLimits: {},
  }));
}

/** @returns the key that was presented, unless its time is over */
export function findApiKey(keys: readonly ApiKey[], presented: string, now: number): ApiKey | undefined {
  const hash = sha256(presented);
  const [found] = keys.filter((key) => timingSafeEqual(key.hash, hash));
  return found !== undefined && now < found.expiresAt ? found : undefined;
}

/**
 * @param input the key, with or without the end of its line
 * @throws Error, one line
 */
export function hashApiKey(input: string): string {
  const key = input.replace(/\r?\n$/, '');
  if (key.length < minKeyLength || !/^[\x21-\x7e]+$/.test(key)) {
    throw new Error(
      `the key is not one line of at least ${minKeyLength} printable ASCII characters without spaces; make one with: openssl rand -hex 32`,
    );
  }
  return `sha256:${sha256(key).toString('hex')}`;
}

function parseYaml(text: string): unknown {
  try {
    return parse(text, { logLevel: 'error' });
  } catch (error) {
    // The parser's own message quotes the file.
    const where = error instanceof YAMLParseError ? ` (${error.code}, line ${error.linePos?.[0].line})` : '';
    throw new Error(`is neither YAML nor JSON${where}`);
  }
}

/** The name of a field that is not known may be a key that stands in the wrong place. */
function describe({ path, message, code }: z.core.$ZodIssue): string {
  const problem = code === 'unrecognized_keys' ? 'has a field that is not known' : message;
  return `${path.join('.') || 'the file'}: ${problem}`;
}

function areUnique(values: readonly string[]): boolean {
  return new Set(values).size === values.length;
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
