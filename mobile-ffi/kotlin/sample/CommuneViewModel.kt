// The model of a commune's screen, without a screen: what an Android app hands to Compose.

package vn.toso.sample

import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext
import uniffi.toso.Conflict
import uniffi.toso.Language
import uniffi.toso.MemberEdit
import uniffi.toso.NewMember
import uniffi.toso.NewTeam
import uniffi.toso.Receipt
import uniffi.toso.Role
import uniffi.toso.SyncRight
import uniffi.toso.SyncState
import uniffi.toso.TeamEdit
import uniffi.toso.TosoClient
import uniffi.toso.TosoEvent
import uniffi.toso.TosoException
import uniffi.toso.Totals
import uniffi.toso.errorText

/** A team as a row of the list. */
data class TeamRow(
    val id: String,
    val title: String,
    val members: Int,
    /** Saved here, received, counted: the little mark at the row's end. */
    val receipt: Receipt,
    /** Fields that phones wrote apart, for the person to settle. */
    val conflicts: List<Conflict>,
)

/** All that the screen shows. */
data class CommuneState(
    val teams: List<TeamRow> = emptyList(),
    /** What the search found among teams and members, while there is a search. */
    val found: List<FoundRow>? = null,
    val sync: SyncState = SyncState.Stopped,
    /** How near the end of this phone's right to sync is: `token_ends_soon` is for the person to see. */
    val right: SyncRight = SyncRight.GOOD,
    /** What the centre has counted here. */
    val counted: Totals? = null,
    /** The last thing that did not work, in the person's language. */
    val notice: String? = null,
    /** The team to open instead, when a hamlet that was entered has one. */
    val openInstead: String? = null,
    /** The server had everything removed from this phone: go to the screen that scans an invite. */
    val wiped: Boolean = false,
)

/** A search result. */
data class FoundRow(val id: String, val name: String)

/**
 * Keeps [state] true to the library until its scope ends; in an Android app that is `viewModelScope`.
 *
 * The library's reads are quick and still touch the disk, so they run on `reads`; its edits suspend. Edits go on when the
 * scope ends meanwhile: what a person has saved is saved.
 */
class CommuneViewModel(
    private val toso: TosoClient,
    private val scope: CoroutineScope,
    private val language: Language = Language.VIETNAMESE,
    private val reads: CoroutineDispatcher = Dispatchers.IO,
) {
    private val shown = MutableStateFlow(CommuneState())

    /** What the screen shows. */
    val state: StateFlow<CommuneState> = shown.asStateFlow()

    init {
        act { toso.events().collect { event -> orNotice { take(event) } } }
    }

    /** The screen is in front. At once, not launched: this and [hidden] must keep their order. */
    fun shown() = orNotice {
        toso.startSync()
        toso.appForegrounded()
    }

    /** It no longer is. */
    fun hidden() = orNotice { toso.appBackgrounded() }

    /** Records a hamlet's team; when the hamlet has one, [CommuneState.openInstead] names it. */
    fun addTeam(hamlet: String, edits: List<TeamEdit> = emptyList()) = act { toso.addTeam(NewTeam(hamlet = hamlet, edits = edits)) }

    /** Changes a team. */
    fun editTeam(id: String, edits: List<TeamEdit>) = act { toso.editTeam(id, edits) }

    /** Records a member. */
    fun addMember(team: String, fullName: String, role: Role) =
        act { toso.addMember(NewMember(team, fullName, listOf(MemberEdit.Role(role)))) }

    /** Settles a field with one tap on one of its values. */
    fun settle(conflict: Conflict, value: String) = act { toso.resolve(conflict.id, conflict.field, value) }

    /** Looks for teams and members, with or without diacritics; an empty text ends the search. */
    fun search(text: String) = act {
        val found = if (text.isBlank()) null else withContext(reads) { toso.search(text) }
        shown.update { state -> state.copy(found = found?.map { FoundRow(it.id, it.name) }) }
    }

    /** The person has seen the notice. */
    fun noticeSeen() = shown.update { it.copy(notice = null, openInstead = null) }

    private suspend fun take(event: TosoEvent) {
        when (event) {
            is TosoEvent.Sync -> shown.update { it.copy(sync = event.state) }
            is TosoEvent.Wiped -> {
                readTeams()
                shown.update { it.copy(wiped = it.wiped || event.everything) }
            }
            is TosoEvent.SyncRight -> shown.update { it.copy(right = event.state) }
            is TosoEvent.Documents, is TosoEvent.Conflicts, is TosoEvent.Receipts, is TosoEvent.Held, is TosoEvent.Names -> readTeams()
        }
    }

    private suspend fun readTeams() {
        val (rows, totals) = withContext(reads) {
            val members = toso.members().groupingBy { it.team }.eachCount()
            val conflicts = toso.conflicts().groupBy { it.id }
            val rows = toso.teams().map { team ->
                TeamRow(
                    id = team.id,
                    title = team.localName ?: team.hamlet ?: team.commune,
                    members = members[team.id] ?: 0,
                    receipt = team.receipt,
                    conflicts = conflicts[team.id].orEmpty(),
                )
            }
            rows to toso.totals()
        }
        shown.update { it.copy(teams = rows, counted = totals) }
    }

    private fun act(action: suspend () -> Unit) {
        scope.launch { orNotice { action() } }
    }

    /** What does not work becomes a notice, never a crash. Inline, so that the action may suspend where its caller may. */
    private inline fun orNotice(action: () -> Unit) {
        try {
            action()
        } catch (_: TosoException.Closed) {
            // The app is on its way out.
        } catch (error: TosoException) {
            val instead = (error as? TosoException.TeamExists)?.id
            shown.update { it.copy(notice = errorText(error, language), openInstead = instead) }
        }
    }
}
