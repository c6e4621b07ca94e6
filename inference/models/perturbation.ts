/** What a package says of judging slightly changed copies, too. */
import { z } from 'zod';

export const perturbationSchema = z.strictObject({
  /** Whether it is done unasked; a request can ask for it or do without it. */
  byDefault: z.boolean(),
  /** Whether a verdict that a copy does not get is taken back; else a warning. */
  abstain: z.boolean(),
});

/** Who asks for it where the package is silent wants to know whether to believe the verdict. */
export const silentPackage: z.infer<typeof perturbationSchema> = { byDefault: false, abstain: true };
