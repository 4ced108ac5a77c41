// What an error says to a person: `localizedDescription` shows it, wherever an app hands an error on.

import Foundation

extension TosoError: LocalizedError {
    /// The words for a person, in the phone's language.
    public var errorDescription: String? {
        errorText(error: self, language: .ofThisPhone)
    }
}

extension Language {
    /// The language of the texts on a phone that is set to Vietnamese, or says nothing, and the one on all others.
    public static var ofThisPhone: Language {
        guard let preferred = Locale.preferredLanguages.first else { return .vietnamese }
        return preferred.lowercased().hasPrefix("vi") ? .vietnamese : .english
    }
}
