/** Makes the claim of a model what its sharers need, or finds out how the claim that the user names may be mounted. */
import type { KubeClient } from '../../runtime/client.ts';
import type { Store } from '../../runtime/store.ts';
import { type ChildOutcome, ensureChild } from '../children.ts';
import { type AccessMode, accessModeOf } from '../claims.ts';
import { type PersistentVolumeClaim, PVC } from '../kinds.ts';
import type { Problem } from '../problems.ts';
import { accessModeOfClaim, bytesOf, claimSize, desiredClaim, isClaimOf, sizeOf } from './claim-plan.ts';
import type { ModelPass } from './pass.ts';

export type ClaimOutcome =
  /** There is no claim to work with. */
  | { readonly problem: Problem }
  /** There will be one. */
  | { readonly waiting: Problem }
  | {
      readonly accessMode: AccessMode;
      /** undefined for a claim of the user. */
      readonly uid?: string;
      /** What the claim has room for, where that is known. */
      readonly maxBytes?: number;
      /** The claim stays as it was: it cannot have the size that is asked for. */
      readonly refused?: Problem;
    };

export interface ClaimKeeperOptions {
  readonly client: KubeClient;
  readonly claims: Store<PersistentVolumeClaim>;
}

export class ClaimKeeper {
  readonly #options: ClaimKeeperOptions;

  constructor(options: ClaimKeeperOptions) {
    this.#options = options;
  }

  ensure(pass: ModelPass): Promise<ClaimOutcome> {
    return pass.claim.own ? this.#ensureOwn(pass) : this.#look(pass);
  }

  async #ensureOwn(pass: ModelPass): Promise<ClaimOutcome> {
    const { claim, sharers, namespace, spec } = pass;
    const before = this.#options.claims.get({ namespace, name: claim.name });
    const wanted = claimSize(sharers, before);
    const asked = await this.#apply(pass, wanted.size, before);
    const has = sizeOf(before);
    const cannotGrow = asked.problem && has !== undefined && has !== wanted.size;
    // A volume that cannot grow is no reason to stop fetching onto it.
    const { live, problem } = cannotGrow ? await this.#apply(pass, has, before) : asked;
    if (problem) return { problem };
    if (live?.metadata.deletionTimestamp !== undefined) return { waiting: terminating(claim.name) };
    const refused = cannotGrow ? asked.problem : wanted.refused;
    const uid = live?.metadata.uid;
    return {
      accessMode: accessModeOf(spec.storage?.pvc?.accessMode) ?? 'ReadWriteOnce',
      maxBytes: bytesOf(sizeOf(live) ?? wanted.size),
      ...(uid === undefined ? {} : { uid }),
      ...(refused ? { refused } : {}),
    };
  }

  #apply(
    { model, claim, sharers, signal, log }: ModelPass,
    size: string,
    before: PersistentVolumeClaim | undefined,
  ): Promise<ChildOutcome<PersistentVolumeClaim>> {
    const { client, claims } = this.#options;
    const context = { client, owner: model, signal, log };
    const desired = desiredClaim(claim, sharers, size, before);
    return ensureChild(context, PVC, claims, desired, (live) => isClaimOf(live, sharers));
  }

  /** A claim's modes never change, so what a verified package says of them still holds. */
  async #look({ model, claim, namespace, signal }: ModelPass): Promise<ClaimOutcome> {
    const { status } = model;
    const known = status?.pvc?.claimName === claim.name ? accessModeOf(status.pvc.accessMode) : undefined;
    if (known && status?.fetch?.phase === 'Succeeded') return { accessMode: known };
    const { client, claims } = this.#options;
    const key = { namespace, name: claim.name };
    const live = claims.get(key) ?? (await client.find(PVC, key, signal));
    if (!live) {
      const message = `PersistentVolumeClaim ${claim.name} does not exist: create it`;
      return { problem: { reason: 'ClaimNotFound', message } };
    }
    const accessMode = accessModeOfClaim(live);
    const capacity = live.status?.capacity?.['storage'];
    if (accessMode) return { accessMode, ...(capacity ? { maxBytes: bytesOf(capacity) } : {}) };
    const modes = live.spec?.accessModes?.join(', ');
    const message = `PersistentVolumeClaim ${claim.name} is ${modes}: fetching and serving take several pods`;
    return { problem: { reason: 'UnsupportedAccessMode', message } };
  }
}

const terminating = (claimName: string): Problem => ({
  reason: 'ClaimTerminating',
  message: `PersistentVolumeClaim ${claimName} is being deleted: a new one is made once no pod mounts it any more`,
});
