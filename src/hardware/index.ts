export { devices, findDevice } from "./catalog/devices.js";
export { type DeviceRecord, deviceRecordSchema, parseDeviceRecord } from "./record.js";
