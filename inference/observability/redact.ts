/** Takes out of a log line what must not be there: secrets by the name of their key, at any depth, and the content and names of files. */

export const redactedText = '[redacted]';

/** Keys in lower case without `-` and `_`. `headers` and `cookies` are whole collections of secrets. */
const secretKey =
  /password|passwd|secret|token|apikey|authorization|credential|privatekey|cookie|headers|redisurl|filecontent|imagebytes|rawdata|filename|originalname/;
/** A line that is nested deeper is a mistake, or an attack. */
const maxDepth = 8;

/**
 * A copy for the log. Values that JSON cannot hold become text; an object that contains itself is cut off.
 * @param value anything, however hostile: getters that throw and endless structures too
 */
export function redacted(value: unknown, depth = 0): unknown {
  if (typeof value === 'bigint' || typeof value === 'symbol') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`;
  // Those know how they are written: errors by the serializer, dates by toJSON.
  if (value instanceof Error || value instanceof Date) return value;
  if (depth === maxDepth) return '[nested deeper]';
  if (Array.isArray(value)) return value.map((item) => redacted(item, depth + 1));
  return Object.fromEntries(Object.keys(value).map((key) => [key, redactedMember(value, key, depth)]));
}

function redactedMember(holder: object, key: string, depth: number): unknown {
  if (secretKey.test(key.toLowerCase().replace(/[-_]/g, ''))) return redactedText;
  try {
    return redacted(Reflect.get(holder, key), depth + 1);
  } catch {
    return '[unreadable]';
  }
}
