// The key that the library encrypts its folder with: 32 random bytes in the Keychain, made at the first start.

#if canImport(Security)

import Foundation
import Security

/// Why there is no key.
public enum StoreKeyError: Error, Equatable {
    /// The phone has not been unlocked since it was switched on; try again later, and make no new key.
    case lockedSinceStart
    /// The Keychain refused, with its own code.
    case keychain(OSStatus)
}

/// Reads and makes the key.
public struct StoreKey {
    /// Bytes of a key.
    static let byteCount = 32

    private let service: String
    private let account: String

    /// A key of its own for each folder.
    public init(service: String = "vn.toso.store", account: String = "main") {
        self.service = service
        self.account = account
    }

    /// The key; made when there is none.
    ///
    /// A key that cannot be read because the phone is locked is never replaced: what is stored under it would be lost.
    public func load() throws -> Data {
        if let key = try read() {
            return key
        }
        let key = try Self.random()
        try add(key)
        return key
    }

    /// Puts a new key into the old one's place; call it when the library has rotated to it.
    public func replace(with key: Data) throws {
        let status = SecItemUpdate(item as CFDictionary, [kSecValueData: key] as CFDictionary)
        if status == errSecItemNotFound {
            try add(key)
        } else if status != errSecSuccess {
            throw Self.error(status)
        }
    }

    /// A fresh key, for rotation.
    public static func random() throws -> Data {
        var bytes = [UInt8](repeating: 0, count: byteCount)
        let status = SecRandomCopyBytes(kSecRandomDefault, bytes.count, &bytes)
        guard status == errSecSuccess else {
            throw StoreKeyError.keychain(status)
        }
        return Data(bytes)
    }

    private var item: [CFString: Any] {
        [kSecClass: kSecClassGenericPassword, kSecAttrService: service, kSecAttrAccount: account]
    }

    private func read() throws -> Data? {
        var query = item
        query[kSecReturnData] = true
        query[kSecMatchLimit] = kSecMatchLimitOne
        var found: CFTypeRef?
        let status = SecItemCopyMatching(query as CFDictionary, &found)
        switch status {
        case errSecSuccess:
            return found as? Data
        case errSecItemNotFound:
            return nil
        default:
            throw Self.error(status)
        }
    }

    private func add(_ key: Data) throws {
        var attributes = item
        attributes[kSecValueData] = key
        // Background sync runs on a locked phone; and a key must not follow a backup to another phone, where the folder does not go.
        attributes[kSecAttrAccessible] = kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly
        let status = SecItemAdd(attributes as CFDictionary, nil)
        guard status == errSecSuccess else {
            throw Self.error(status)
        }
    }

    private static func error(_ status: OSStatus) -> StoreKeyError {
        status == errSecInteractionNotAllowed ? .lockedSinceStart : .keychain(status)
    }
}

#endif
