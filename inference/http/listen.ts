import type { FastifyInstance } from 'fastify';

/** Every address, of IPv6 and of IPv4. */
const ANY = '::';
const ANY_IPV4 = '0.0.0.0';
/** What a machine answers that has no IPv6 at all. */
const NO_IPV6 = ['EAFNOSUPPORT', 'EADDRNOTAVAIL'];

/** Listens at host and port; at `::` also where a machine knows IPv4 alone. */
export async function listen(
  app: Pick<FastifyInstance, 'listen'>,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<void> {
  try {
    await app.listen({ port, host });
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (host !== ANY || !NO_IPV6.includes(code)) throw error;
    await app.listen({ port, host: ANY_IPV4 });
  }
}
