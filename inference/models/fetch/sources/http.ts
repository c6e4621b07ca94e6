/** An archive at an address. */
import type { Remote } from '../resource.ts';

export function httpRemote(url: string, authorization: string | undefined): Remote {
  const proof = authorization === undefined ? {} : { authorization };
  return { kind: 'layers', layers: [{ resource: { url, access: { credentials: async () => proof } } }] };
}
