/**
 * How a controller is spoken to. `hm2`: as HealthManager 2.0 did; `hm9000-nats`: as its successor hm9000 did until 2016; `hm9000-http`:
 * as hm9000 did from 2016, starts and stops by HTTP. Only messages differ: decisions know nothing of the dialect.
 */
export const DIALECTS = ['hm2', 'hm9000-nats', 'hm9000-http'] as const;
export type Dialect = (typeof DIALECTS)[number];
