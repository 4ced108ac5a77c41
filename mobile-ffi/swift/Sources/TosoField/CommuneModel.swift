// The model of a commune's screen, without a screen: what a SwiftUI view observes.

import Combine
import Foundation
import Toso

/// A team as a row of the list.
public struct TeamRow: Identifiable, Equatable, Sendable {
    public let id: String
    public let title: String
    public let members: Int
    /// Saved here, received, counted: the little mark at the row's end.
    public let receipt: Receipt
    /// Fields that phones wrote apart, for the person to settle.
    public let conflicts: [Conflict]
}

/// Keeps what the screen shows true to the library, until it is released.
@MainActor
public final class CommuneModel: ObservableObject {
    @Published public private(set) var teams: [TeamRow] = []
    @Published public private(set) var sync: SyncState = .stopped
    /// How near the end of this phone's right to sync is: `token_ends_soon` is for the person to see.
    @Published public private(set) var right: SyncRight = .good
    /// What the centre has counted here.
    @Published public private(set) var counted: Totals?
    /// The last thing that did not work, in the person's language.
    @Published public var notice: String?
    /// The team to open instead, when a hamlet that was entered has one.
    @Published public var openInstead: String?
    /// The server had everything removed from this phone: go to the screen that scans an invite.
    @Published public private(set) var wiped = false

    private let toso: TosoClient
    private let language: Language
    private var listening: Task<Void, Never>?

    public init(toso: TosoClient, language: Language = .ofThisPhone) {
        self.toso = toso
        self.language = language
        listening = Task { [weak self] in
            guard let events = try? toso.events() else { return }
            for await event in events {
                guard let self else { return }
                await self.take(event)
            }
        }
    }

    deinit {
        listening?.cancel()
    }

    /// The screen is in front.
    public func appear() async {
        await act {
            try self.toso.startSync()
            try self.toso.appForegrounded()
        }
    }

    /// It no longer is.
    public func disappear() async {
        await act { try self.toso.appBackgrounded() }
    }

    /// Records a hamlet's team; when the hamlet has one, `openInstead` names it.
    public func addTeam(hamlet: String, edits: [TeamEdit] = []) async {
        await act { _ = try await self.toso.addTeam(team: NewTeam(hamlet: hamlet, edits: edits)) }
    }

    /// Changes a team.
    public func editTeam(id: String, edits: [TeamEdit]) async {
        await act { _ = try await self.toso.editTeam(id: id, edits: edits) }
    }

    /// Records a member.
    public func addMember(team: String, fullName: String, role: Role) async {
        await act {
            let member = NewMember(team: team, fullName: fullName, edits: [.role(role: role)])
            _ = try await self.toso.addMember(member: member)
        }
    }

    /// Settles a field with one tap on one of its values.
    public func settle(_ conflict: Conflict, value: String) async {
        await act { try await self.toso.resolve(id: conflict.id, field: conflict.field, value: value) }
    }

    private func take(_ event: TosoEvent) async {
        switch event {
        case .sync(let state):
            sync = state
        case .wiped(_, let everything):
            await readTeams()
            wiped = wiped || everything
        case .syncRight(let state, _):
            right = state
        case .documents, .conflicts, .receipts, .held, .names:
            await readTeams()
        }
    }

    /// Reads touch the disk, if only for a moment, so they stay off the main thread.
    private func readTeams() async {
        let toso = self.toso
        await act {
            let (rows, totals) = try await Task.detached {
                let members = Dictionary(grouping: try toso.members(), by: \.team)
                let conflicts = Dictionary(grouping: try toso.conflicts(), by: \.id)
                let rows = try toso.teams().map { team in
                    TeamRow(
                        id: team.id,
                        title: team.localName ?? team.hamlet ?? team.commune,
                        members: members[team.id]?.count ?? 0,
                        receipt: team.receipt,
                        conflicts: conflicts[team.id] ?? []
                    )
                }
                return (rows, try toso.totals())
            }.value
            self.teams = rows
            self.counted = totals
        }
    }

    /// Does what a person asked for; what does not work becomes a notice, never a crash.
    private func act(_ action: () async throws -> Void) async {
        do {
            try await action()
        } catch let error as TosoError {
            if case .Closed = error { return }
            if case .TeamExists(_, let id) = error { openInstead = id }
            notice = errorText(error: error, language: language)
        } catch {
            notice = error.localizedDescription
        }
    }
}
