/** What `--source` may say. */
import { z } from 'zod';

const address = z.url({ protocol: /^https?$/ });
/** HTTP clients and servers fold such parts away, so an object with one in its key cannot be asked for. */
const objectKey = z
  .string()
  .min(1)
  .refine((key) => !key.split('/').some((part) => part === '.' || part === '..'), {
    message: 'has a part "." or "..", which no HTTP address can carry',
  });

const s3 = z
  .strictObject({
    bucket: z.string().regex(/^[A-Za-z0-9][\w.-]*$/, 'must be the name of a bucket'),
    key: objectKey.optional(),
    prefix: objectKey.optional(),
    region: z.string().min(1).default('us-east-1'),
    endpoint: address.optional(),
    forcePathStyle: z.boolean().optional(),
  })
  .refine(({ key, prefix }) => (key === undefined) !== (prefix === undefined), {
    message: 'needs either key (an archive) or prefix (a folder)',
  });

const huggingFace = z.strictObject({
  repository: objectKey.regex(/^[\w.-]+\/[\w.-]+$/, 'must be OWNER/NAME'),
  revision: objectKey.default('main'),
  path: objectKey.optional(),
  endpoint: address.default('https://huggingface.co'),
});

const oci = z.strictObject({ reference: z.string().min(1), plainHttp: z.boolean().default(false) });

export const sourceSchema = z.union([
  z.strictObject({ builtin: z.strictObject({ name: z.string().min(1) }) }),
  z.strictObject({ http: z.strictObject({ url: address }) }),
  z.strictObject({ s3 }),
  z.strictObject({ huggingFace }),
  z.strictObject({ oci }),
  z.strictObject({ pvc: z.strictObject({ path: z.string() }) }),
  z.strictObject({ configMap: z.strictObject({ path: z.string().min(1) }) }),
]);

export type Source = z.output<typeof sourceSchema>;
export type S3Source = z.output<typeof s3>;
export type HuggingFaceSource = z.output<typeof huggingFace>;
export type OciSource = z.output<typeof oci>;
