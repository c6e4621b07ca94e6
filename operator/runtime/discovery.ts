import { type Clock, systemClock } from './clock.ts';
import type { Kind } from './object.ts';

/** What `GET /apis/GROUP/VERSION` answers. */
export interface ResourceList {
  readonly resources?: readonly { readonly name: string; readonly kind: string }[];
}

export interface DiscoveryOptions {
  /** Reads one group and version; undefined where the server has none of that name. Rejects where that is not known. */
  readonly read: (apiVersion: string) => Promise<ResourceList | undefined>;
  /** An answer counts for this long, ms (default 20,000): kinds come and go while an operator runs, which looks every 30 s. */
  readonly expiryMs?: number;
  readonly clock?: Clock;
}

/** Knows which kinds the API server has. Asks once per group and version until the answer expires; a failure is never kept. */
export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #clock: Clock;
  readonly #answers = new Map<
    string,
    { readonly at: number; readonly list: Promise<ResourceList | undefined> }
  >();

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  async serves({ apiVersion, plural, kind }: Kind): Promise<boolean> {
    const list = await this.#list(apiVersion);
    return list?.resources?.some((resource) => resource.name === plural && resource.kind === kind) ?? false;
  }

  #list(apiVersion: string): Promise<ResourceList | undefined> {
    const { read, expiryMs = 20_000 } = this.#options;
    const known = this.#answers.get(apiVersion);
    if (known && this.#clock.monotonic() - known.at < expiryMs) return known.list;
    const answer = { at: this.#clock.monotonic(), list: read(apiVersion) };
    this.#answers.set(apiVersion, answer);
    answer.list.catch(() => {
      if (this.#answers.get(apiVersion) === answer) this.#answers.delete(apiVersion);
    });
    return answer.list;
  }
}
