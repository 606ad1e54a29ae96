/** What every command takes. */
export interface ConfigOption {
  /** `--config` */
  config?: string;
}
